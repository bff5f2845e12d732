import { describe, expect, it } from 'vitest';
import { CertError, checkCertificate } from './check-ssh-certificate.ts';
import { issueCertificate, parseCertificate } from './ssh-certificate.ts';
import { publicKeyOf } from './ssh-key.ts';
import { keyOf, testNowSeconds, type KeyKind } from './testing.ts';
import { WireError } from './wire.ts';

const certificateOf = (kind: KeyKind, ca: KeyKind): Buffer =>
  issueCertificate({
    key: publicKeyOf(keyOf(kind)),
    ca: keyOf(ca, 'ca'),
    kind: 'user',
    keyId: 'alice',
    principals: ['root', 'deploy'],
    validAfter: testNowSeconds - 60n,
    validBefore: testNowSeconds + 3600n,
    criticalOptions: { 'source-address': '10.0.0.0/8' },
    extensions: { 'permit-pty': '', 'teleport-roles': '{"version":"v1","roles":["admin"]}' },
  });

/** Trusts what the certificate names as well, so that only the signature stands between it and us. */
function outcome(blob: Buffer, ca: KeyKind): string {
  try {
    const c = parseCertificate(blob);
    checkCertificate(c, {
      kind: 'user',
      cas: [publicKeyOf(keyOf(ca, 'ca')).blob],
      principals: ['root'],
      now: testNowSeconds,
      sourceAddress: '10.0.0.1',
    });
    return 'accepted';
  } catch (e) {
    if (e instanceof CertError || e instanceof WireError) return 'refused';
    throw e;
  }
}

/** Numbers that look random and are the same in every run. Source: xorshift32, Marsaglia 2003. */
function numbers(seed: number): (below: number) => number {
  let x = seed;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

const cases = [
  ['ed25519', 'ed25519', 20_000],
  ['p256', 'p256', 4_000],
  ['p521', 'p384', 1_500],
  ['rsa', 'rsa', 4_000],
] as const;

describe('a certificate that is not as it was signed', () => {
  it.each(cases)('is refused when cut anywhere: %s by %s', (kind, ca) => {
    const good = certificateOf(kind, ca);
    expect(outcome(good, ca)).toBe('accepted');
    for (let n = 0; n < good.length; n++) expect(outcome(good.subarray(0, n), ca)).toBe('refused');
  });

  it.each(cases)('is refused when bits flip, one to three of them: %s by %s, %i times', (kind, ca, times) => {
    const good = certificateOf(kind, ca);
    const next = numbers(0x2026_0102);
    for (let i = 0; i < times; i++) {
      const bad = Buffer.from(good);
      for (let flips = next(3) + 1; flips > 0; flips--) {
        const bit = next(good.length * 8);
        bad.writeUInt8(bad.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      }
      if (!bad.equals(good) && outcome(bad, ca) !== 'refused')
        expect.fail(`accepted after change ${i}: ${bad.toString('hex')}`);
    }
  });

  it('is refused when bytes are put in or taken out', () => {
    const good = certificateOf('ed25519', 'ed25519');
    for (let at = 0; at <= good.length; at++) {
      const [head, tail] = [good.subarray(0, at), good.subarray(at)];
      expect(outcome(Buffer.concat([head, Buffer.of(0), tail]), 'ed25519')).toBe('refused');
      if (at < good.length)
        expect(outcome(Buffer.concat([head, tail.subarray(1)]), 'ed25519')).toBe('refused');
    }
  });

  it('is refused when it is not a certificate at all', () => {
    const next = numbers(42);
    for (let i = 0; i < 5_000; i++) {
      const bytes = Buffer.from(Array.from({ length: next(200) }, () => next(256)));
      expect(outcome(bytes, 'ed25519')).toBe('refused');
    }
  });
});
