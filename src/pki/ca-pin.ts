import { createHash, timingSafeEqual, X509Certificate } from 'node:crypto';

/** `sha256:` and the hexadecimal SHA-256 of the certificate's SubjectPublicKeyInfo. */
export function caPinOf(certificatePem: string): string {
  const spki = new X509Certificate(certificatePem).publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(spki).digest('hex')}`;
}

/** True when the certificate has one of the pins. Every pin is compared, in constant time. */
export function matchesPin(certificatePem: string, pins: readonly string[]): boolean {
  const actual = Buffer.from(caPinOf(certificatePem));
  return pins
    .map((pin) => Buffer.from(pin.trim().toLowerCase()))
    .map((pin) => pin.length === actual.length && timingSafeEqual(pin, actual))
    .some((fits) => fits);
}
