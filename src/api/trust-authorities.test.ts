import { describe, expect, it } from 'vitest';
import { plusMs } from '../base/time.ts';
import {
  announcedAt,
  announcing,
  testAuthorityKey,
  type TestAuthorityKey,
} from '../pki/announcement-testing.ts';
import { caPinOf } from '../pki/ca-pin.ts';
import { generateP256 } from '../pki/key-pair.ts';
import { createCaCertificate } from '../pki/x509.ts';
import { authoritiesToTrust } from './trust-authorities.ts';

const made = '2026-01-01T00:00:00.000Z';
const now = '2026-02-01T00:00:00.000Z';
const tenYearsMs = 10 * 365 * 24 * 3_600_000;
const authority = (clusterName = 'example'): string =>
  createCaCertificate({ clusterName, privateKey: generateP256(), now: made });
const own = authority();
const other = authority();
const claim = (...tlsCertificatesPem: string[]) => ({
  server: '10.0.0.1:3025',
  signer: { clusterName: 'example', checkingKeys: [], tlsCertificatesPem, withdrawn: [] },
});
const refusal = (act: () => unknown): { code: string; message: string } => {
  try {
    act();
  } catch (e) {
    return e as { code: string; message: string };
  }
  throw new Error('nothing was refused');
};

describe('choosing which authorities to believe', () => {
  it('takes those that have a pin, and never one that stands beside them', () => {
    expect(authoritiesToTrust(claim(other, own), [caPinOf(own)], now)).toEqual([own]);
    expect(authoritiesToTrust(claim(own), [caPinOf(other), caPinOf(own)], now)).toEqual([own]);
    expect(authoritiesToTrust(claim(own, other), [caPinOf(other), caPinOf(own)], now)).toEqual([own, other]);
  });

  it('takes all without a pin', () => {
    expect(authoritiesToTrust(claim(own, other), [], now)).toEqual([own, other]);
  });

  it('refuses when none has a pin, and names what was expected, what came, from where, and what to do', () => {
    const { code, message } = refusal(() => authoritiesToTrust(claim(other), [caPinOf(own)], now));
    expect(code).toBe('access_denied');
    expect(message).toMatch(
      /^provided certificate pin does not match cluster pin\. This could have occurred if /,
    );
    expect(message).toContain(`Expected: ${caPinOf(own)}.`);
    expect(message).toContain(`Got from 10.0.0.1:3025: ${caPinOf(other)} (of "example", made ${made})`);
    expect(message).toContain('tctl status');
  });

  it('refuses a server that names no authority at all', () => {
    expect(refusal(() => authoritiesToTrust(claim(), [caPinOf(own)], now)).code).toBe('access_denied');
    expect(refusal(() => authoritiesToTrust(claim(), [], now)).code).toBe('access_denied');
  });

  it('blames the clock for an authority that does not hold yet', () => {
    const early = plusMs(made, -1);
    const { code, message } = refusal(() => authoritiesToTrust(claim(own), [caPinOf(own)], early));
    expect(code).toBe('misconfigured');
    expect(message).toContain('clock skew');
    expect(message).toContain(early);
    expect(authoritiesToTrust(claim(own), [caPinOf(own)], made)).toEqual([own]);
  });

  it('refuses one that has ended, at the instant it ends', () => {
    const end = plusMs(made, tenYearsMs);
    expect(refusal(() => authoritiesToTrust(claim(own), [], end)).message).toContain('expired on');
    expect(authoritiesToTrust(claim(own), [], plusMs(end, -1))).toEqual([own]);
  });

  it('refuses what is no certificate', () => {
    expect(refusal(() => authoritiesToTrust(claim('-----BEGIN NOTHING'), [caPinOf(own)], now)).code).toBe(
      'bad_request',
    );
  });
});

describe('a pin while authorities are rotated', () => {
  const [old, next, foreign] = ['old', 'next', 'foreign'].map((id) => testAuthorityKey(id)) as [
    TestAuthorityKey,
    TestAuthorityKey,
    TestAuthorityKey,
  ];
  const pemOf = ({ key }: TestAuthorityKey): string => key.tlsCertificatePem;
  const pinOf = (key: TestAuthorityKey): string => caPinOf(pemOf(key));
  const at = plusMs(announcedAt, 60_000);
  const rotating = (signs: TestAuthorityKey, other: TestAuthorityKey) => {
    const claimed = claim(pemOf(signs), pemOf(other));
    return { ...claimed, signer: { ...claimed.signer, announcement: announcing([signs, other]) } };
  };

  it('of either key leads to both, whichever signs and is shown now', () => {
    for (const [signs, other] of [
      [old, next],
      [next, old],
    ] as const)
      for (const pin of [pinOf(old), ` ${pinOf(next).toUpperCase().replace('SHA', 'sha')} `])
        expect(authoritiesToTrust(rotating(signs, other), [pin], at)).toHaveLength(2);
  });

  it('leads to none that stands beside, and by no announcement that it did not sign', () => {
    const honest = rotating(old, next);
    const signer = { ...honest.signer, tlsCertificatesPem: [pemOf(old), pemOf(foreign)] };
    const lies = [
      announcing([foreign]),
      announcing([old, foreign], {}, [foreign]),
      announcing([old, foreign], { clusterName: 'other' }),
      announcing([old, foreign], { until: at }),
      { text: '{', signatures: [] },
    ];
    for (const announcement of lies)
      expect(
        authoritiesToTrust({ ...honest, signer: { ...signer, announcement } }, [pinOf(old)], at),
      ).toEqual([pemOf(old)]);
  });

  const after = (why: string, by = 'admin@auth1') => {
    const claimed = claim(pemOf(next));
    const withdrawn = [{ fingerprint: 'SHA256:x', caPin: pinOf(old), at, by, why }];
    const announcement = announcing([next], { until: undefined, number: 2 });
    return { ...claimed, signer: { ...claimed.signer, withdrawn, announcement } };
  };
  it.each([
    ['rotated', 'was rotated'],
    ['rolled_back', 'was taken back'],
    ['replaced', 'was replaced without a grace period'],
    ['of a newer release', 'of a newer release'],
  ])('of a key that is gone (%s) is refused: expected, got, when, by whom', (why, words) => {
    const { code, message } = refusal(() => authoritiesToTrust(after(why), [pinOf(old)], at));
    expect(code).toBe('access_denied');
    for (const part of [
      `Expected: ${pinOf(old)}`,
      `Got from 10.0.0.1:3025: ${pinOf(next)}`,
      `10.0.0.1:3025 claims that ${pinOf(old)} ${words} at ${at} by admin@auth1. `,
      'no key that is trusted here has signed it',
    ])
      expect(message).toContain(part);
  });

  it('is refused in one line of bounded length, whoever is said to have rotated it', () => {
    const { message } = refusal(() =>
      authoritiesToTrust(after('rotated', `\u001b[2J\n${'x'.repeat(5000)}`), [pinOf(old)], at),
    );
    expect(message).not.toMatch(/[\u001b\n]/);
    expect(message.length).toBeLessThan(1_500);
  });
});
