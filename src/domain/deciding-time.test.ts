import { describe, expect, it } from 'vitest';
import { hour, minute, plusMs } from '../base/time.ts';
import { agoMs, type DecidingTime, endOf, leftMs } from './deciding-time.ts';
import { invite, usableInvite } from './invite.ts';
import { type ActiveToken, expiryOf, isExpired, joinToken, tokenLimits } from './join-token.ts';
import { fold } from './testing.ts';
import { user } from './user.ts';
import type { UserFact } from './user-fact.ts';
import { type LogIn, loginOutcome } from './user-login.ts';
import { lockOf } from './user-state.ts';

const now = '2026-01-01T12:00:00.000Z';
const span = { until: plusMs(now, 5 * hour), lengthMs: 30 * minute };
const known = (ages: Record<string, number>): DecidingTime => ({ now, ages });

describe('what lasts for a time', () => {
  it('is over when the deciding server has known it for that long, whatever moment was said', () => {
    expect(leftMs(span, known({ [span.until]: 10 * minute }))).toBe(20 * minute);
    expect(leftMs(span, known({ [span.until]: 31 * minute }))).toBe(-minute);
  });
  it('has all its time when it was written just now', () => {
    expect(leftMs({ ...span, until: plusMs(now, -hour) }, known({}))).toBe(30 * minute);
    expect(agoMs(plusMs(now, -hour), known({}))).toBe(0);
  });
  it('goes by the moments where nothing more is known', () => {
    expect(leftMs(span, { now })).toBe(5 * hour);
    expect(agoMs(plusMs(now, -hour), { now })).toBe(hour);
  });
  it('ends when it was said, or by the clock of the deciding server where the clocks differ', () => {
    const near = { until: plusMs(now, 20 * minute + 500), lengthMs: 30 * minute };
    expect(endOf(near, known({ [near.until]: 10 * minute }))).toBe(near.until);
    expect(endOf(span, known({ [span.until]: 10 * minute }))).toBe(plusMs(now, 20 * minute));
  });
});

describe('a token of a server whose clock is wrong', () => {
  const tokenUntil = (expiresAt: string, ttlMs?: number): ActiveToken => {
    const state = fold(joinToken, [
      { type: 'token.created', data: { roles: ['Node'], expiresAt, uses: null, ...(ttlMs && { ttlMs }) } },
    ]);
    if (state.status !== 'active') throw new Error('not active');
    return state;
  };
  it('ends after its time: neither before nor later', () => {
    for (const expiresAt of [plusMs(now, -9 * hour), plusMs(now, 9 * hour)]) {
      const token = tokenUntil(expiresAt, 30 * minute);
      expect(isExpired(token, known({ [expiresAt]: 29 * minute }))).toBe(false);
      expect(isExpired(token, known({ [expiresAt]: 30 * minute }))).toBe(true);
      expect(expiryOf(token, known({ [expiresAt]: 29 * minute }))).toBe(plusMs(now, minute));
    }
  });
  it('of the release before ends at its moment, and after two days at the latest', () => {
    const soon = plusMs(now, minute);
    expect(isExpired(tokenUntil(soon), known({ [soon]: hour }))).toBe(false);
    expect(isExpired(tokenUntil(now), known({ [now]: 0 }))).toBe(true);
    expect(isExpired(tokenUntil(soon), known({ [soon]: tokenLimits.maxMs }))).toBe(true);
  });
});

describe('an invite of a server whose clock is wrong', () => {
  it('can be used for its time', () => {
    for (const expiresAt of [plusMs(now, -9 * hour), plusMs(now, 9 * hour)]) {
      const state = fold(invite, [
        { type: 'invite.created', data: { username: 'joe', purpose: 'invite', expiresAt, ttlMs: hour } },
      ]);
      expect(usableInvite(state, known({ [expiresAt]: hour - 1 })).username).toBe('joe');
      expect(() => usableInvite(state, known({ [expiresAt]: hour }))).toThrow(/bad or expired token/);
    }
  });
});

describe('a lock by failures', () => {
  const addresses = { remote: '', local: '' };
  const ready: UserFact[] = [
    { type: 'user.created', data: { username: 'joe', roles: ['admin'], traits: {} } },
    { type: 'user.password_set', data: { passwordId: 'p1', addresses } },
  ];
  const logIn: LogIn = {
    type: 'log-in',
    now,
    password: { status: 'matched', id: 'p1' },
    otp: { status: 'not_required' },
    addresses,
  };
  const lockedUntil = (until: string, forMs?: number): UserFact => ({
    type: 'user.locked',
    data: { until, reason: 'x', ...(forMs && { forMs }) },
  });
  it.each([
    ['behind', -9 * hour],
    ['ahead', 9 * hour],
  ])('lasts for its time by the clock of who decides, though that of who locked was %s', (_what, skewMs) => {
    const until = plusMs(now, skewMs);
    for (const forMs of [undefined, 20 * minute]) {
      const state = fold(user, [...ready, lockedUntil(until, forMs)]);
      const at = (ms: number): LogIn => ({ ...logIn, ages: { [until]: ms } });
      expect(lockOf(state, at(19 * minute))).toEqual({
        status: 'locked',
        until: plusMs(now, minute),
        reason: 'x',
      });
      expect(user.decide(state, at(19 * minute))).toEqual([]);
      expect(loginOutcome(user.decide(state, at(20 * minute))).status).toBe('logged_in');
      // Another server has locked it this moment.
      expect(user.decide(state, { ...logIn, ages: {} })).toEqual([]);
    }
  });
  it('comes at the fifth failure in half an hour, by whichever clocks they were told', () => {
    const failures = [-9, 3, -2, 9].map((hours): UserFact => ({
      type: 'user.login_refused',
      data: { reason: 'wrong_password', at: plusMs(now, hours * hour), addresses, source: '192.0.2.1' },
    }));
    const state = fold(user, [...ready, ...failures]);
    const wrong = (ms: number): LogIn => ({
      ...logIn,
      password: { status: 'wrong' },
      source: '192.0.2.1',
      ages: Object.fromEntries([-9, 3, -2, 9].map((hours) => [plusMs(now, hours * hour), ms])),
    });
    expect(user.decide(state, wrong(29 * minute)).map(({ type }) => type)).toContain('user.locked');
    expect(user.decide(state, wrong(30 * minute)).map(({ type }) => type)).not.toContain('user.locked');
  });
});
