/** Malformed bytes; the error of every SSH parser. Its messages never quote a secret. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

/**
 * Reads SSH data types from a buffer, front to back. Every read is bounds-checked and throws WireError. It
 * returns slices of `buf`, which are valid only as long as the buffer is unchanged.
 * Source: RFC 4251, section 5.
 */
export class Reader {
  /** Bytes read so far. */
  pos = 0;
  readonly buf: Buffer;
  constructor(buf: Buffer) {
    this.buf = buf;
  }
  private need(n: number): number {
    const at = this.pos;
    if (n > this.buf.length - at) throw new WireError('truncated SSH data');
    this.pos += n;
    return at;
  }
  u8(): number {
    return this.buf.readUInt8(this.need(1));
  }
  u32(): number {
    return this.buf.readUInt32BE(this.need(4));
  }
  u64(): bigint {
    return this.buf.readBigUInt64BE(this.need(8));
  }
  /** An SSH string: its length, then that many bytes. */
  bytes(): Buffer {
    const n = this.u32();
    const at = this.need(n);
    return this.buf.subarray(at, at + n);
  }
  /** Text that must be clean UTF-8 without NUL (principals, key ids, option names). */
  text(): string {
    const b = this.bytes();
    const s = b.toString('utf8');
    if (s.includes('\0') || !Buffer.from(s, 'utf8').equals(b)) throw new WireError('bad text in SSH data');
    return s;
  }
  /** Positive mpint, returned without its leading zero. */
  mpint(): Buffer {
    const b = this.bytes();
    if (b.length === 0 || b.readUInt8() & 0x80) throw new WireError('mpint not positive');
    if (b[0] === 0) {
      if (b.length === 1 || !(b.readUInt8(1) & 0x80)) throw new WireError('mpint not minimal');
      return b.subarray(1);
    }
    return b;
  }
  get atEnd(): boolean {
    return this.pos === this.buf.length;
  }
  /** @throws WireError when something is left. */
  end(): void {
    if (!this.atEnd) throw new WireError('trailing SSH data');
  }
}

export const u32 = (n: number): Buffer => {
  const b = Buffer.alloc(4);
  b.writeUInt32BE(n);
  return b;
};
export const u64 = (n: bigint): Buffer => {
  const b = Buffer.alloc(8);
  b.writeBigUInt64BE(n);
  return b;
};
/** An SSH string; text is written as UTF-8. */
export const str = (v: Buffer | string): Buffer => {
  const b = typeof v === 'string' ? Buffer.from(v, 'utf8') : v;
  return Buffer.concat([u32(b.length), b]);
};
/**
 * `v` is an unsigned integer, most significant byte first, at least one byte long; leading zeros are left
 * out.
 */
export const mpint = (v: Buffer): Buffer => {
  let i = 0;
  while (i < v.length - 1 && v[i] === 0) i++;
  const t = v.subarray(i);
  return str(t.readUInt8() & 0x80 ? Buffer.concat([Buffer.of(0), t]) : t);
};
