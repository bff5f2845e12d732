import { describe, expect, it } from 'vitest';
import { newToken, tokenHash } from './token.ts';

describe('a token', () => {
  it('is 16 bytes of the given source in hexadecimal', () => {
    expect(newToken((n) => Buffer.alloc(n, 0xab))).toBe('ab'.repeat(16));
  });

  // Source: FIPS 180-2, appendix B.1.
  it('is stored as its SHA-256', () => {
    expect(tokenHash('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });
});
