import { describe, expect, it } from 'vitest';
import { minute, plusMs } from '../base/time.ts';
import { fold, scenario } from './testing.ts';
import { user } from './user.ts';
import type { UserFact } from './user-fact.ts';
import type { LogIn } from './user-login.ts';
import { lockOf } from './user-state.ts';

const given = scenario(user);
const now = '2026-01-01T12:00:00.000Z';
const here = '198.51.100.7';
const there = '203.0.113.9';
const addresses = { remote: `${here}:5000`, local: '192.0.2.1:3080' };
const ready: readonly UserFact[] = [
  { type: 'user.created', data: { username: 'joe', roles: ['admin'], traits: { logins: ['joe'] } } },
  { type: 'user.password_set', data: { passwordId: 'p1', addresses } },
  { type: 'user.otp_set', data: { otpId: 'o1', usedStep: 100 } },
];
const logIn: LogIn = {
  type: 'log-in',
  now,
  password: { status: 'matched', id: 'p1' },
  otp: { status: 'matched', id: 'o1', step: 101 },
  addresses,
  source: here,
};
const wrong: LogIn = { ...logIn, password: { status: 'wrong' } };
const loggedIn = {
  type: 'user.logged_in',
  data: { method: 'local', otp: { status: 'matched', step: 101 }, addresses, source: here },
} as const satisfies UserFact;
const refusedAt = (at: string, source = here): UserFact => ({
  type: 'user.login_refused',
  data: { reason: 'wrong_password', at, addresses, source },
});
const four = [4, 3, 2, 1].map((n) => refusedAt(plusMs(now, -n * minute)));

describe('who fails to log in', () => {
  it('locks the address it comes from for 20 minutes at the fifth time in a row', () => {
    given(...ready, ...four)
      .when(wrong)
      .then(refusedAt(now), {
        type: 'user.locked',
        data: {
          until: plusMs(now, 20 * minute),
          forMs: 20 * minute,
          reason: '5 failed login attempts in a row',
          source: here,
        },
      });
  });

  const until20 = plusMs(now, 20 * minute);
  const lockedFrom: UserFact = {
    type: 'user.locked',
    data: { until: until20, forMs: 20 * minute, reason: 'x', source: here },
  };
  it('locks nobody else out: the user logs in from another address', () => {
    const past = [...ready, ...four, refusedAt(now), lockedFrom];
    given(...past)
      .when(logIn)
      .then();
    given(...past)
      .when({ ...logIn, source: there })
      .then({ ...loggedIn, data: { ...loggedIn.data, source: there } });
    expect(lockOf(fold(user, past), { now })).toEqual({
      status: 'locked',
      until: until20,
      reason: 'x',
      from: [here],
    });
  });
  it('begins to count anew when the lock ends', () => {
    given(...ready, ...four, refusedAt(now), lockedFrom)
      .when({ ...wrong, now: until20 })
      .then(refusedAt(until20));
  });
  const many = (n: number): UserFact[] => Array.from({ length: n }, (_, i) => refusedAt(now, `192.0.2.${i}`));
  it('locks the name at the fiftieth, from many addresses, but not where its owner logged in from', () => {
    given(...ready, ...many(48))
      .when(wrong)
      .then(refusedAt(now));
    const facts = user.decide(fold(user, [...ready, ...many(49)]), wrong);
    expect(facts.at(-1)).toMatchObject({
      type: 'user.locked',
      data: { reason: '50 failed login attempts' },
    });
    const state = fold(user, [...ready, ...many(49), ...facts]);
    expect(user.decide(state, { ...logIn, source: there })).toEqual([]);
    expect(user.decide(state, { ...logIn, source: undefined })).toEqual([]);
    const known = { ...loggedIn, data: { ...loggedIn.data, source: there } };
    const next: LogIn = { ...logIn, source: there, otp: { status: 'matched', id: 'o1', step: 102 } };
    given(...ready, known, ...many(49), ...facts)
      .when(next)
      .then({ ...known, data: { ...known.data, otp: { status: 'matched', step: 102 } } });
  });
  it('is known where it logged in from the last eight times, each address counted once', () => {
    const from = (n: number): UserFact => ({
      ...loggedIn,
      data: { ...loggedIn.data, source: `10.0.0.${n}` },
    });
    const known = (...order: number[]): unknown => {
      const state = fold(user, [...ready, ...order.map(from)]);
      return state.status === 'active' && state.knownSources.map((one) => Number(one.split('.')[3]));
    };
    expect(known(1, 2, 3)).toEqual([1, 2, 3]);
    expect(known(1, 2, 3, 1)).toEqual([2, 3, 1]);
    expect(known(1, 2, 3, 4, 5, 6, 7, 8, 1, 9)).toEqual([3, 4, 5, 6, 7, 8, 1, 9]);
  });
  it('goes on to count for the name what has locked an address', () => {
    const lock = (source: string): UserFact => ({
      type: 'user.locked',
      data: { until: until20, reason: 'x', source },
    });
    const past: UserFact[] = [];
    for (let n = 0; n < 9; n++)
      past.push(...Array.from({ length: 5 }, () => refusedAt(now, `192.0.2.${n}`)), lock(`192.0.2.${n}`));
    given(...ready, ...past, ...Array.from({ length: 3 }, () => refusedAt(now, there)))
      .when({ ...wrong, source: 'x' })
      .then(refusedAt(now, 'x'));
    const all = [...ready, ...past, ...Array.from({ length: 4 }, () => refusedAt(now, there))];
    expect(user.decide(fold(user, all), { ...wrong, source: 'x' })[1]).toMatchObject({
      data: { reason: '50 failed login attempts' },
    });
  });
  it('counts for the name alone where everybody has one address', () => {
    const shared: LogIn = { ...wrong, source: undefined };
    const anywhere: UserFact = {
      type: 'user.login_refused',
      data: { reason: 'wrong_password', at: now, addresses },
    };
    given(...ready, ...Array.from({ length: 48 }, () => anywhere))
      .when(shared)
      .then(anywhere);
  });
  it('is not forgotten because the user logged in from elsewhere', () => {
    const elsewhere = { ...loggedIn, data: { ...loggedIn.data, source: there } };
    expect(user.decide(fold(user, [...ready, ...four, elsewhere]), wrong)).toHaveLength(2);
  });
});
