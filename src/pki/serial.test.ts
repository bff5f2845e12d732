import { X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generateEd25519, generateP256 } from './key-pair.ts';
import { newSerial, serialOfX509, serialText } from './serial.ts';
import { parseCertificate } from './ssh-certificate.ts';
import { fromAuthorizedKeyLine, publicKeyOf } from './ssh-key.ts';
import { issueUserTlsCertificate } from './tls-identity.ts';
import { issueUserSshCertificate } from './user-certificate.ts';
import { createCaCertificate } from './x509.ts';

const now = '2026-01-01T00:00:00.000Z';
const caKey = generateP256();
const caPem = createCaCertificate({ clusterName: 'example', privateKey: caKey, now });
const key = publicKeyOf(generateEd25519());
const identity = {
  username: 'alice',
  groups: ['admin'],
  principals: ['root'],
  routeToCluster: '',
  traits: {},
};
const tlsWith = (serial: bigint): X509Certificate =>
  new X509Certificate(
    issueUserTlsCertificate({ publicKey: key.key, caPem, caKey, identity, now, ttlSeconds: 60, serial }),
  );

describe('a serial number', () => {
  it('is positive in 64 bits and another one each time', () => {
    const serials = Array.from({ length: 1000 }, newSerial);
    expect(new Set(serials).size).toBe(1000);
    expect(serials.every((one) => one >= 1n << 62n && one < 1n << 63n)).toBe(true);
  });
  it('is the same in an SSH certificate and its twin in X.509, and written in decimals', () => {
    const serial = newSerial();
    const line = issueUserSshCertificate({
      publicKey: key,
      ca: generateEd25519(),
      username: 'alice',
      principals: ['root'],
      roles: ['admin'],
      traits: {},
      now,
      ttlSeconds: 60,
      format: 'standard',
      permit: { pty: true, portForwarding: true, agentForwarding: false },
      routeToCluster: '',
      serial,
    });
    expect(parseCertificate(fromAuthorizedKeyLine(line)).serial).toBe(serial);
    expect(serialOfX509(tlsWith(serial))).toBe(serial);
    expect(serialText(serial)).toMatch(/^[1-9][0-9]{18}$/);
  });
  it('of any size reads back from X.509 as it was', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: (1n << 64n) - 1n }), (serial) => {
        expect(serialOfX509(tlsWith(serial))).toBe(serial);
      }),
      { numRuns: 50 },
    );
    for (const edge of [1n, 0x7fn, 0x80n, 0xffn, 0x100n, (1n << 64n) - 1n])
      expect(serialOfX509(tlsWith(edge))).toBe(edge);
  });
  it.each([0n, -1n, 1n << 64n])('cannot be %s', (serial) => {
    expect(() => tlsWith(serial)).toThrow(/64 bits/);
  });
});
