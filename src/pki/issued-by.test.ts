import { generateKeyPairSync } from 'node:crypto';
import { expect, it } from 'vitest';
import { issuedBy } from './issued-by.ts';
import { testNow } from './testing.ts';
import { createCaCertificate, readCertificate } from './x509.ts';

it('an authority has issued what its key has signed, however many others are asked in between', () => {
  const authorities = Array.from({ length: 40 }, () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return createCaCertificate({ clusterName: 'example', privateKey, now: testNow });
  });
  const [first = ''] = authorities;
  // All have the same name: only the key tells them apart.
  const certificate = readCertificate(first);
  expect(authorities.map((pem) => issuedBy(certificate, pem))).toEqual(
    authorities.map((pem) => pem === first),
  );
  expect(issuedBy(certificate, first)).toBe(true);
});
