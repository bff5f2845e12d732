import { describe, expect, it } from 'vitest';
import { plusMs } from '../base/time.ts';
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
  signer: { clusterName: 'example', checkingKeys: [], tlsCertificatesPem },
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
    expect(refusal(() => authoritiesToTrust(claim(own), [], end)).message).toContain('has ended on');
    expect(authoritiesToTrust(claim(own), [], plusMs(end, -1))).toEqual([own]);
  });

  it('refuses what is no certificate', () => {
    expect(refusal(() => authoritiesToTrust(claim('-----BEGIN NOTHING'), [caPinOf(own)], now)).code).toBe(
      'bad_request',
    );
  });
});
