/** SFTP version 3 on the wire. Source: draft-ietf-secsh-filexfer-02. */
import { Reader, str, u32 } from '../pki/wire.ts';

export const request = {
  init: 1,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  extended: 200,
} as const;

export const reply = { version: 2, status: 101, handle: 102, data: 103, name: 104, attrs: 105 } as const;

export const status = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  unsupported: 8,
} as const;

/** Flags of an open request. */
export const openFlag = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const;

/** No implementation sends longer packets; OpenSSH's limit is the same. */
export const MAX_PACKET = 256 * 1024;

/** A packet: its length, type and body. */
export const packet = (type: number, ...parts: readonly Buffer[]): Buffer => {
  const length = parts.reduce((sum, part) => sum + part.length, 1);
  return Buffer.concat([u32(length), Buffer.of(type), ...parts]);
};

export const statusReply = (id: number, code: number, message: string): Buffer =>
  packet(reply.status, u32(id), u32(code), str(message), str(''));

export interface Head {
  readonly type: number;
  /** Of the whole packet, without the length field. */
  readonly length: number;
  /** The body after the type byte, at most as much as requested. */
  readonly body: Buffer;
}

/**
 * Cuts a stream into packets and keeps no more than the first `keep` bytes of each. Returns false, now and
 * for ever, once the bytes cannot be SFTP.
 */
export class PacketCutter {
  readonly #keep: number;
  readonly #onPacket: (head: Head) => void;
  #head: Buffer = Buffer.alloc(0);
  /** Bytes of the current packet that are still to come and not kept. */
  #skip = 0;
  #broken = false;

  constructor(keep: number, onPacket: (head: Head) => void) {
    this.#keep = keep;
    this.#onPacket = onPacket;
  }

  push(chunk: Buffer): boolean {
    let rest = chunk;
    while (rest.length > 0 && !this.#broken) {
      const skipped = Math.min(this.#skip, rest.length);
      this.#skip -= skipped;
      rest = rest.subarray(skipped);
      if (rest.length > 0) rest = this.#take(rest);
    }
    return !this.#broken;
  }

  /** Adds the bytes that the current packet still needs; returns the rest. */
  #take(bytes: Buffer): Buffer {
    const wanted = this.#head.length < 5 ? 5 : 4 + Math.min(this.#head.readUInt32BE(0), this.#keep + 1);
    const part = bytes.subarray(0, wanted - this.#head.length);
    this.#head = Buffer.concat([this.#head, part]);
    if (this.#head.length >= 5) this.#look();
    return bytes.subarray(part.length);
  }

  #look(): void {
    const length = this.#head.readUInt32BE(0);
    if (length < 1 || length > MAX_PACKET) {
      this.#broken = true;
      return;
    }
    const kept = Math.min(length, this.#keep + 1);
    if (this.#head.length < 4 + kept) return;
    const head = { type: this.#head.readUInt8(4), length, body: this.#head.subarray(5) };
    this.#head = Buffer.alloc(0);
    this.#skip = length - kept;
    this.#onPacket(head);
  }
}

/** Reads a packet's body; `undefined` when it is malformed. */
export function parseBody<T>(body: Buffer, read: (r: Reader) => T): T | undefined {
  try {
    return read(new Reader(body));
  } catch {
    return undefined; // a WireError: the caller replies or gives up
  }
}
