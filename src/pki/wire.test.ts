import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mpint, Reader, str, u32, u64, WireError } from './wire.ts';

const bytes = fc.uint8Array({ maxLength: 40 }).map((b) => Buffer.from(b));

describe('reading SSH data', () => {
  it('gives back what was written, and then is at its end', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), fc.bigInt(0n, (1n << 64n) - 1n), bytes, (n, big, data) => {
        const r = new Reader(Buffer.concat([u32(n), u64(big), str(data)]));
        expect([r.u32(), r.u64(), r.bytes()]).toEqual([n, big, data]);
        expect(r.atEnd).toBe(true);
        r.end();
      }),
    );
  });

  it('throws nothing but WireError at any bytes', () => {
    const reads = ['u8', 'u32', 'u64', 'bytes', 'text', 'mpint', 'end'] as const;
    fc.assert(
      fc.property(bytes, fc.array(fc.constantFrom(...reads), { minLength: 1 }), (data, calls) => {
        const r = new Reader(data);
        try {
          for (const call of calls) r[call]();
        } catch (e) {
          expect(e).toBeInstanceOf(WireError);
        }
        expect(r.pos).toBeLessThanOrEqual(data.length);
      }),
    );
  });

  it('refuses a length beyond the data, also one of 4 GiB', () => {
    expect(() => new Reader(Buffer.from('00000005aabbccdd', 'hex')).bytes()).toThrow('truncated');
    expect(() => new Reader(Buffer.from('ffffffffaabbccdd', 'hex')).bytes()).toThrow('truncated');
  });

  it('refuses what follows the end', () => {
    const r = new Reader(Buffer.concat([str('a'), Buffer.of(0)]));
    r.bytes();
    expect(() => {
      r.end();
    }).toThrow('trailing');
  });

  it.each([
    ['NUL', Buffer.from('a\0b')],
    ['a stray continuation byte', Buffer.of(0x80)],
    ['an overlong form', Buffer.of(0xc0, 0xaf)],
    ['a surrogate', Buffer.of(0xed, 0xa0, 0x80)],
  ])('refuses %s in text', (_name, data) => {
    expect(() => new Reader(str(data)).text()).toThrow(WireError);
  });
});

describe('integers of any size', () => {
  it('come back without leading zeros', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 1n << 300n), fc.nat(3), (n, zeros) => {
        const hex = n.toString(16);
        const plain = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
        expect(new Reader(mpint(Buffer.concat([Buffer.alloc(zeros), plain]))).mpint()).toEqual(plain);
      }),
    );
  });

  // Source of the encodings: RFC 4251, section 5.
  it('are written as the RFC shows', () => {
    expect(mpint(Buffer.from('09a378f9b2e332a7', 'hex')).toString('hex')).toBe('0000000809a378f9b2e332a7');
    expect(mpint(Buffer.from('80', 'hex')).toString('hex')).toBe('000000020080');
  });

  it.each(['00000000', '0000000180', '0000000100', '00000002007f'])('refuse %s', (hex) => {
    expect(() => new Reader(Buffer.from(hex, 'hex')).mpint()).toThrow(WireError);
  });
});
