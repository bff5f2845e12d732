import { createRequire } from 'node:module';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bindOpenssl } from './openssl-primitives.ts';
import { poly1305 } from './poly1305.ts';

const tagOf = (key: Buffer, message: Buffer): string => {
  const tag = Buffer.alloc(16);
  poly1305(key, message, tag);
  return tag.toString('hex');
};

describe('poly1305', () => {
  it.each([
    // RFC 8439, 2.5.2 and A.3 (4, 7, 8, 9, 10, 11): carries at the edges of 2^130 - 5 and of 2^128
    [
      '85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b',
      Buffer.from('Cryptographic Forum Research Group').toString('hex'),
      'a8061dc1305136c6c22b8baf0c0127a9',
    ],
    ['02' + '00'.repeat(31), 'ff'.repeat(16), '03' + '00'.repeat(15)],
    ['02' + '00'.repeat(15) + 'ff'.repeat(16), '02' + '00'.repeat(15), '03' + '00'.repeat(15)],
    [
      '01' + '00'.repeat(31),
      'ff'.repeat(16) + 'f0' + 'ff'.repeat(15) + '11' + '00'.repeat(15),
      '05' + '00'.repeat(15),
    ],
    ['01' + '00'.repeat(31), 'ff'.repeat(16) + 'fb' + 'fe'.repeat(15) + '01'.repeat(16), '00'.repeat(16)],
    ['02' + '00'.repeat(31), 'fd' + 'ff'.repeat(15), 'fa' + 'ff'.repeat(15)],
  ])('of key %s', (key, message, tag) => {
    expect(tagOf(Buffer.from(key, 'hex'), Buffer.from(message, 'hex'))).toBe(tag);
  });

  it("is OpenSSL's, for every length and key", () => {
    const openssl = bindOpenssl(() => createRequire(import.meta.url)('koffi') as never);
    if (openssl.status !== 'loaded') throw new Error(openssl.reason);
    const theirs = (key: Buffer, message: Buffer): string => {
      const tag = Buffer.alloc(16);
      openssl.primitives.poly1305(key, message, tag);
      return tag.toString('hex');
    };
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.nat(200).map((n) => new Uint8Array(n).fill(255)), // every limb full
    );
    const keys = fc.oneof(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.constant(new Uint8Array(32).fill(255)),
    );
    fc.assert(
      fc.property(keys, bytes, (key, message) => {
        const [k, m] = [Buffer.from(key), Buffer.from(message)];
        expect(tagOf(k, m)).toBe(theirs(k, m));
      }),
      { numRuns: 500 },
    );
    const long = [randomBytes(32), randomBytes(300_001)] as const;
    expect(tagOf(...long)).toBe(theirs(...long));
  });
});
