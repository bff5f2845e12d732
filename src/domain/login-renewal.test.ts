import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hour, type Instant, minute, plusMs, second } from '../base/time.ts';
import {
  decideRenewal,
  renewableFrom,
  renewalSetting,
  renewalWindowMs,
  type Renewal,
  type RenewalWish,
} from './login-renewal.ts';
import type { RoleSpec } from './role-spec.ts';

const loggedInAt: Instant = '2026-01-01T08:00:00.000Z';
const after = (ms: number): Instant => plusMs(loggedInAt, ms);
const role = (hours: number): RoleSpec => ({
  name: `role-${hours}`,
  options: {
    maxSessionTtlSeconds: hours * 3600,
    forwardAgent: false,
    portForwarding: true,
    disconnectExpiredCert: false,
    clientIdleTimeoutSeconds: 0,
    maxSessions: 0,
  },
  allow: { logins: [], nodeLabels: {} },
  deny: { logins: [], nodeLabels: {} },
});
const wish: RenewalWish = {
  now: after(12 * hour - 5 * minute),
  loggedInAt,
  validUntil: after(12 * hour),
  end: 'moves',
  windowMs: 15 * minute,
  roles: [role(30)],
  ttlSeconds: 12 * 3600,
};
const decide = (other: Partial<RenewalWish> = {}): Renewal => decideRenewal({ ...wish, ...other });
const reason = (other: Partial<RenewalWish>): string => {
  const renewal = decide(other);
  return renewal.status === 'refused' ? renewal.reason : expect.unreachable('renewed');
};

describe('a certificate of a key that leaves', () => {
  const leaving = { end: 'stays', now: after(hour) } as const;
  it('is exchanged for one that ends when it does, whatever the setting and however much was asked for', () => {
    for (const windowMs of [undefined, 15 * minute])
      expect(decide({ ...leaving, windowMs, ttlSeconds: 99 * 3600 })).toEqual({
        status: 'renewed',
        ttlSeconds: 11 * 3600,
        loggedInAt,
      });
  });
  it('is not exchanged when no login gave it', () => {
    expect(reason({ ...leaving, loggedInAt: undefined })).toContain('it is not renewed');
  });
});

describe('a certificate that is just there', () => {
  it('of a key that leaves is exchanged in its last second, and not once it is over', () => {
    const leaving = { end: 'stays', windowMs: undefined } as const;
    expect(decide({ ...leaving, now: after(12 * hour - second) })).toMatchObject({ ttlSeconds: 1 });
    for (const now of [after(12 * hour - 999), after(12 * hour)])
      expect(reason({ ...leaving, now })).toMatch(/auth_service\.renewal is off/);
  });
  it('is renewed from the very moment on that is said, and not a moment before', () => {
    const from = after(12 * hour - 15 * minute);
    expect(decide({ now: from }).status).toBe('renewed');
    expect(reason({ now: plusMs(from, -1) })).toContain(`is renewed from ${from} on`);
  });
  it('is not renewed where that would not make it last longer', () => {
    const left = 5 * 60;
    expect(reason({ ttlSeconds: left })).toMatch(/log in with the password again/);
    expect(decide({ ttlSeconds: left + 1 })).toMatchObject({ status: 'renewed', ttlSeconds: left + 1 });
  });
  it('is not renewed once the longest session is over, also one that ended before', () => {
    expect(reason({ now: after(31 * hour), validUntil: after(12 * hour) })).toMatch(
      /^the roles allow sessions until 2026-01-02T14:00:00.000Z by the login of 2026-01-01T08:00:00.000Z/,
    );
  });
});

describe('a certificate near its end', () => {
  it('is renewed for as long as was asked for, by the same login', () => {
    expect(decide()).toEqual({ status: 'renewed', ttlSeconds: 12 * 3600, loggedInAt });
  });
  it('is renewed up to the longest session of the strictest role, counted from the login', () => {
    const at = after(20 * hour - 5 * minute);
    const late = { now: at, validUntil: after(20 * hour), roles: [role(30), role(24)] };
    expect(decide(late)).toMatchObject({ ttlSeconds: (4 * hour + 5 * minute) / second });
    expect(reason({ ...late, roles: [role(20)] })).toMatch(/log in with the password again/);
  });
  it('is refused while it is not near, with the time from which it is', () => {
    expect(reason({ now: after(hour) })).toContain(after(12 * hour - 15 * minute));
  });
  it('is refused where the setting is off or not understood, and where no password was given for it', () => {
    expect(reason({ windowMs: undefined })).toMatch(/auth_service\.renewal is off/);
    expect(reason({ loggedInAt: undefined })).toMatch(/not one that a login with a password gave/);
  });
  it('however often it is renewed never outlives login and longest session', () => {
    const hours = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(
        hours,
        fc.array(hours, { minLength: 1, maxLength: 20 }),
        fc.nat(900),
        (longest, asked, early) => {
          let validUntil = after(Math.min(longest, 12) * hour);
          for (const one of asked) {
            const now = plusMs(validUntil, -early * second);
            const renewal = decide({ now, validUntil, roles: [role(longest)], ttlSeconds: one * 3600 });
            if (renewal.status === 'refused') continue;
            const next = plusMs(now, renewal.ttlSeconds * second);
            expect(next > validUntil && next <= after(longest * hour)).toBe(true);
            validUntil = next;
          }
        },
      ),
    );
  });
  it('is said to be renewable from then on, and not at all where it never will be', () => {
    const { validUntil, windowMs, roles } = wish;
    expect(renewableFrom({ loggedInAt, validUntil, windowMs, roles })).toBe(after(12 * hour - 15 * minute));
    expect(renewableFrom({ loggedInAt, validUntil, windowMs, roles: [role(12)] })).toBeUndefined();
    expect(renewableFrom({ loggedInAt, validUntil, windowMs: undefined, roles })).toBeUndefined();
  });
});

describe('the setting on the log', () => {
  it('reads back', () => {
    for (const ms of [minute, 15 * minute, 30 * hour]) expect(renewalWindowMs(renewalSetting(ms))).toBe(ms);
  });
  it.each([undefined, '', 'off', '0s', '15m', '-1s', 'always', '1e3s'])('renews nothing for %j', (text) => {
    expect(renewalWindowMs(text)).toBeUndefined();
  });
  it('is off for no duration, and has whole seconds', () => {
    expect(renewalSetting(0)).toBe('off');
    expect(renewalSetting(1999)).toBe('1s');
    expect(renewalWindowMs('999999999s')).toBe(999_999_999_000);
    expect(renewalWindowMs('1000000000s')).toBeUndefined();
  });
});
