import { createHash, timingSafeEqual } from 'node:crypto';
import { readCertificate } from './x509.ts';

/**
 * `sha256:` and the hexadecimal SHA-256 of the certificate's SubjectPublicKeyInfo.
 * @throws CodedError `bad_request` when it is not a certificate.
 */
export function caPinOf(certificatePem: string): string {
  const spki = readCertificate(certificatePem).publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(spki).digest('hex')}`;
}

/**
 * True when the certificate has one of the pins. Every pin is compared, in constant time. Does not check
 * whether the certificate is still valid.
 * @throws CodedError `bad_request` when it is not a certificate.
 */
export function matchesPin(certificatePem: string, pins: readonly string[]): boolean {
  const actual = Buffer.from(caPinOf(certificatePem));
  return pins
    .map((pin) => Buffer.from(pin.trim().toLowerCase()))
    .map((pin) => pin.length === actual.length && timingSafeEqual(pin, actual))
    .some((fits) => fits);
}
