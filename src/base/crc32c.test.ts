import { describe, expect, it } from 'vitest';
import { crc32c } from './crc32c.ts';

describe('the checksum', () => {
  // Source: RFC 3720, B.4, and the check value of the catalogue of CRCs.
  it.each([
    [Buffer.from('123456789'), 0xe3069283],
    [Buffer.alloc(32), 0x8a9136aa],
    [Buffer.alloc(32, 0xff), 0x62a8ab43],
    [Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
    [Buffer.alloc(0), 0],
  ])('is the published one (%#)', (bytes, sum) => {
    expect(crc32c(bytes)).toBe(sum);
  });
});
