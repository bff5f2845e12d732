import { describe, expect, it } from 'vitest';
import { generateEd25519, generateP256, privateKeyFromPem, privateKeyPem } from './key-pair.ts';

describe('a private key in PEM', () => {
  it.each([generateEd25519, generateP256])('is read back: %o', (generate) => {
    const key = generate();
    const pem = privateKeyPem(key);
    expect(pem).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    expect(privateKeyFromPem(pem).equals(key)).toBe(true);
  });

  it('is refused when it is something else, without being quoted', () => {
    const pem = privateKeyPem(generateEd25519());
    for (const text of ['', 'secret', pem.slice(0, -40), pem.replace(/\n[^-]+\n/, '\nsecret\n')])
      expect(() => privateKeyFromPem(text)).toThrow(
        expect.objectContaining({ code: 'damaged', message: 'not a private key in PEM' }) as Error,
      );
  });
});
