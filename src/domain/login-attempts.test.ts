import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plusMs } from '../base/time.ts';
import recorded from './fixtures/attempts.json' with { type: 'json' };
import {
  attemptsAmong,
  type LoginAttemptCommand,
  type LoginAttemptFact,
  loginAttempts,
  type LoginAttempts,
  userWithAttempts,
} from './login-attempts.ts';
import { expectReplays, fold, scenario } from './testing.ts';
import { user, type UserCommand } from './user.ts';
import type { UserFact } from './user-fact.ts';
import type { LogIn } from './user-login.ts';
import { type ActiveUser, lockOf, maxFailuresOfSource, type UserState } from './user-state.ts';

const at = '2026-01-01T12:00:00.000Z';
const addresses = { remote: '198.51.100.7:5000', local: '192.0.2.1:3080' };
const apart: UserFact = { type: 'user.attempts_apart', data: {} };
const created: UserFact = {
  type: 'user.created',
  data: { username: 'joe', roles: ['admin'], traits: {} },
};
const passwordSet: UserFact = { type: 'user.password_set', data: { passwordId: 'p1', addresses } };
const otpSet: UserFact = { type: 'user.otp_set', data: { otpId: 'o1', usedStep: 10 } };
const ready = [created, passwordSet, otpSet];

const joe = (...facts: readonly UserFact[]): ActiveUser => {
  const state = fold(user, [...ready, apart, ...facts]);
  if (state.status === 'absent') throw new Error('joe is there');
  return state;
};
const logIn = (more: Partial<LogIn> = {}): LogIn => ({
  ...{ type: 'log-in', now: at, addresses, source: 'home' },
  password: { status: 'matched', id: 'p1' },
  otp: { status: 'matched', id: 'o1', step: 11 },
  ...more,
});
const wrong = (more: Partial<LogIn> = {}): LogIn => logIn({ password: { status: 'wrong' }, ...more });
/** The facts of these attempts, one after the other. */
const after = (of: ActiveUser, ...attempts: readonly LogIn[]): LoginAttemptFact[] => {
  const facts: LoginAttemptFact[] = [];
  for (const attempt of attempts)
    facts.push(...loginAttempts.decide(fold(loginAttempts, facts), { type: 'attempt', user: of, attempt }));
  return facts;
};
const given = scenario(loginAttempts);
const attemptOf = (of: ActiveUser, attempt: LogIn): LoginAttemptCommand => ({
  ...{ type: 'attempt', user: of, attempt },
});

describe('attempts that are recorded apart from their user', () => {
  it('begin with the user as it is', () => {
    const failed: UserFact = {
      type: 'user.login_refused',
      data: { reason: 'wrong_password', at, addresses, source: 'office' },
    };
    const before = fold(user, [...ready, failed, apart]) as ActiveUser;
    given()
      .when(attemptOf(before, logIn()))
      .then(
        {
          type: 'attempts.begun',
          data: {
            era: { cleared: 2, forgotten: 1 },
            otp: { id: 'o1', lastStep: 10 },
            failures: [{ at, source: 'office' }],
            ...{ lock: null, sourceLocks: [], knownSources: [] },
          },
        },
        {
          type: 'user.logged_in',
          data: { method: 'local', otp: { status: 'matched', step: 11 }, addresses, source: 'home' },
        },
      );
  });

  it('spend a code once', () => {
    given(...after(joe(), logIn()))
      .when(attemptOf(joe(), logIn()))
      .then({
        type: 'user.login_refused',
        data: { reason: 'used_otp', at, addresses, source: 'home' },
      });
  });

  it('lock their source, and nothing is recorded of what it tries then', () => {
    const failures = Array.from({ length: maxFailuresOfSource }, () => wrong());
    const facts = after(joe(), ...failures);
    expect(facts.at(-1)).toMatchObject({ type: 'user.locked', data: { source: 'home' } });
    given(...facts)
      .when(attemptOf(joe(), logIn()))
      .then();
  });

  it.each<[string, UserFact[]]>([
    ['an end of locks', [{ type: 'user.unlocked', data: {} }]],
    ['a new password', [{ type: 'user.password_set', data: { passwordId: 'p1', addresses } }]],
    [
      'a user who got the name later',
      [{ type: 'user.deleted', data: {} }, created, passwordSet, otpSet, apart],
    ],
  ])('count for nothing after %s', (_, since) => {
    const facts = after(joe(), ...Array.from({ length: maxFailuresOfSource }, () => wrong()));
    const state = fold(user, [...ready, apart]);
    let now: UserState = state;
    const deleted =
      since[0]?.type === 'user.deleted' && user.decide(state, { type: 'delete-user', username: 'joe' });
    if (deleted) {
      now = user.evolve(now, { type: 'user.deleted', data: {} });
      const [again] = user.decide(now, {
        type: 'create-user',
        username: 'joe',
        roles: ['admin'],
        traits: {},
      });
      for (const fact of [again, passwordSet, otpSet])
        now = fact === undefined ? now : user.evolve(now, fact);
    } else for (const fact of since) now = user.evolve(now, fact);
    const attempts = fold(loginAttempts, facts);
    const shown = userWithAttempts(now as ActiveUser, attempts);
    expect(now).toMatchObject({ attempts: 'apart' });
    expect([lockOf(shown, { now: at }), shown.failures]).toEqual([{ status: 'active' }, []]);
    expect(loginAttempts.decide(attempts, attemptOf(now as ActiveUser, logIn()))).toMatchObject([
      { type: 'attempts.begun', data: { failures: [], sourceLocks: [] } },
      { type: 'user.logged_in' },
    ]);
  });

  it('know no source any more after a reset, and the one from which a new password was given', () => {
    const attempts = fold(loginAttempts, after(joe(), logIn()));
    expect(userWithAttempts(joe(), attempts).knownSources).toEqual(['home']);
    const reset: UserFact = { type: 'user.password_reset', data: {} };
    expect(userWithAttempts(joe(reset), attempts).knownSources).toEqual([]);
    const changed: UserFact = {
      type: 'user.password_set',
      data: { passwordId: 'p2', addresses, source: 'office' },
    };
    expect(userWithAttempts(joe(reset, changed), attempts).knownSources).toEqual(['office']);
  });

  it('leave the codes of a new device alone', () => {
    const attempts = fold(
      loginAttempts,
      after(joe(), logIn({ otp: { status: 'matched', id: 'o1', step: 99 } })),
    );
    const device: UserFact = { type: 'user.otp_set', data: { otpId: 'o2', usedStep: 20 } };
    expect(userWithAttempts(joe(device), attempts).otp).toEqual({ id: 'o2', lastStep: 20 });
    const code = logIn({ otp: { status: 'matched', id: 'o2', step: 21 } });
    const facts = loginAttempts.decide(attempts, attemptOf(joe(device), code));
    expect(facts.map(({ type }) => type)).toEqual(['attempts.begun', 'user.logged_in']);
    given(...after(joe(), logIn()), ...facts)
      .when(attemptOf(joe(device), code))
      .then(expect.objectContaining({ type: 'user.login_refused' }) as LoginAttemptFact);
  });

  it('are nothing to users whose attempts are recorded with them', () => {
    const here = fold(user, ready) as ActiveUser;
    expect(userWithAttempts(here, fold(loginAttempts, after(joe(), wrong())))).toBe(here);
  });

  it('can be withdrawn, which admits nobody and counts for nothing', () => {
    const attempts = fold(loginAttempts, after(joe(), logIn()));
    const facts = loginAttempts.decide(attempts, { type: 'withdraw', reason: 'changed', addresses });
    expect(facts).toEqual([{ type: 'attempts.login_withdrawn', data: { reason: 'changed', addresses } }]);
    expect([attemptsAmong(facts), fold(loginAttempts, facts)]).toEqual([[], null]);
  });

  it('are read in every form that was ever written', () => {
    const facts = recorded.map((one) => loginAttempts.fact.parse(one));
    expect(new Set(facts.map(({ type }) => type)).size).toBe(5);
    expect(fold(loginAttempts, facts)).toMatchInlineSnapshot(`
      {
        "era": {
          "cleared": 2,
          "forgotten": 1,
        },
        "failures": [
          {
            "at": "2026-01-01T11:00:00.000Z",
            "source": null,
          },
          {
            "at": "2026-01-01T11:30:00.000Z",
            "source": null,
          },
          {
            "at": "2026-01-01T12:00:00.000Z",
            "source": null,
          },
        ],
        "knownSources": [
          "192.0.2.1",
        ],
        "lock": {
          "forMs": 1200000,
          "reason": "50 failed login attempts",
          "until": "2026-01-01T12:20:00.000Z",
        },
        "otp": {
          "id": "o1",
          "lastStep": 11,
        },
        "sourceLocks": [
          {
            "forMs": 1200000,
            "reason": "5 failed login attempts in a row",
            "source": "203.0.113.5",
            "until": "2026-01-01T12:20:00.000Z",
          },
          {
            "forMs": 1200000,
            "reason": "5 failed login attempts in a row",
            "source": "198.51.100.7",
            "until": "2026-01-01T12:20:00.000Z",
          },
        ],
      }
    `);
    for (const other of [created, { type: 'attempts.unheard_of', data: {} }])
      expect(() => loginAttempts.fact.parse(other)).toThrow();
  });
});

const source = fc.constantFrom('home', 'office', undefined);
const attempt = fc.record({
  ...{ type: fc.constant('log-in' as const), addresses: fc.constant(addresses) },
  now: fc.integer({ min: 0, max: 90 }).map((minutes) => plusMs(at, minutes * 60_000)),
  source,
  password: fc.constantFrom<LogIn['password'][]>(
    { status: 'wrong' },
    { status: 'matched', id: 'p1' },
    { status: 'matched', id: 'p2' },
  ),
  otp: fc.oneof(
    fc.constantFrom<LogIn['otp'][]>({ status: 'not_required' }, { status: 'wrong' }, { status: 'absent' }),
    fc.record({
      ...{ status: fc.constant('matched' as const), id: fc.constantFrom('o1', 'o2') },
      step: fc.integer({ min: 8, max: 30 }),
    }),
  ),
});
const change = fc.constantFrom<UserCommand[]>(
  { type: 'unlock-user', username: 'joe', failedApart: true },
  { type: 'reset-user', username: 'joe', invite: { hash: 'h1', expiresAt: at } },
  ...['p1', 'p2'].map((passwordId): UserCommand => ({
    ...{ type: 'set-credentials', inviteHash: 'h1', passwordId, passwordHash: new Uint8Array(1), addresses },
    otp: { status: 'set', id: 'o2', seed: new Uint8Array(1), usedStep: 12 },
  })),
  { type: 'delete-user', username: 'joe' },
  {
    type: 'create-user',
    username: 'joe',
    roles: ['admin'],
    traits: {},
    invite: { hash: 'h1', expiresAt: at },
  },
);

/** Logins and changes of one user, as decided with its attempts in one place. */
interface Run {
  state: UserState;
  attempts: LoginAttempts;
}
const outcomesOf = (place: 'here' | 'apart', acts: readonly (LogIn | UserCommand)[]): unknown[] => {
  const run: Run = { state: fold(user, place === 'apart' ? [...ready, apart] : ready), attempts: null };
  const shown = (): unknown =>
    run.state.status === 'absent' ? 'absent' : { ...userWithAttempts(run.state, run.attempts), attempts: '' };
  return acts.map((act) => {
    try {
      if (act.type === 'log-in' && place === 'apart') {
        if (run.state.status === 'absent') return [[], shown()];
        const facts = loginAttempts.decide(run.attempts, attemptOf(run.state, act));
        run.attempts = facts.reduce((before, fact) => loginAttempts.evolve(before, fact), run.attempts);
        return [attemptsAmong(facts), shown()];
      }
      const facts = user.decide(run.state, act);
      run.state = facts.reduce((before, fact) => user.evolve(before, fact), run.state);
      return [act.type === 'log-in' ? facts : [], shown()];
    } catch (e) {
      return [(e as Error).message, shown()];
    }
  });
};

describe('where attempts are recorded', () => {
  it('changes nothing of what is decided, whatever happens in between', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(attempt, attempt, attempt, change), { maxLength: 40 }), (acts) => {
        // Unlocking without a lock is told apart by nothing but the count of it.
        const withoutEra = (all: unknown[]): unknown =>
          JSON.parse(JSON.stringify(all, (key, value: unknown) => (key === 'era' ? '' : value)));
        expect(withoutEra(outcomesOf('apart', acts))).toEqual(withoutEra(outcomesOf('here', acts)));
      }),
      { numRuns: 500 },
    );
  });

  it('is replayed as it was', () => {
    expectReplays(
      loginAttempts,
      attempt.map((one) => attemptOf(joe(), one as LogIn)),
    );
  });
});
