import { describe, expect, it } from 'vitest';
import {
  certificateAlgorithms,
  chooseAlgorithms,
  defaultAlgorithms,
  signatureAlgorithms,
} from './algorithms.ts';

describe('choosing algorithms', () => {
  it('keeps the default of what is absent or empty', () => {
    expect(chooseAlgorithms({ macAlgos: [] })).toEqual(defaultAlgorithms);
    const chosen = chooseAlgorithms({ ciphers: ['aes256-ctr', 'aes256-ctr'] });
    expect(chosen).toEqual({ ...defaultAlgorithms, ciphers: ['aes256-ctr'] });
  });

  it.each([
    [
      { ciphers: ['aes128-cbc'] },
      'cipher algorithm "aes128-cbc" is not supported; supported algorithms: [aes128-gcm@',
    ],
    [
      { kexAlgos: ['diffie-hellman-group14-sha1'] },
      'KEX algorithm "diffie-hellman-group14-sha1" is not supported',
    ],
    [{ macAlgos: ['hmac-sha2-256', 'hmac-sha1'] }, 'MAC algorithm "hmac-sha1" is not supported'],
  ])('refuses %j', (wanted, message) => {
    expect(() => chooseAlgorithms(wanted)).toThrow(message);
  });

  it('never names SHA-1', () => {
    expect(signatureAlgorithms).not.toContain('ssh-rsa');
    expect(certificateAlgorithms).not.toContain('ssh-rsa-cert-v01@openssh.com');
  });
});
