import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { minute, plusMs } from '../base/time.ts';
import { expectReplays, fold, scenario } from './testing.ts';
import { user, type UserCommand } from './user.ts';
import type { UserFact } from './user-fact.ts';
import { type LogIn, loginOutcome } from './user-login.ts';
import { type ActiveUser, isLockedFor, lockOf, type UserState } from './user-state.ts';

const given = scenario(user);
const now = '2026-01-01T12:00:00.000Z';
const here = '198.51.100.7';
const addresses = { remote: '198.51.100.7:5000', local: '192.0.2.1:3080' };
const invite = { hash: 'h1', expiresAt: '2026-01-01T13:00:00.000Z' };
const bytes = new Uint8Array([1, 2, 3]);

const created: UserFact = {
  type: 'user.created',
  data: { username: 'joe', roles: ['admin'], traits: { logins: ['joe'] } },
};
const invited: UserFact = {
  type: 'user.invited',
  data: { inviteHash: 'h1', purpose: 'invite', expiresAt: invite.expiresAt },
};
const passwordSet: UserFact = { type: 'user.password_set', data: { passwordId: 'p1', addresses } };
const otpSet: UserFact = { type: 'user.otp_set', data: { otpId: 'o1', usedStep: 100 } };
const ready = [created, invited, passwordSet, otpSet] as const;

const create: UserCommand = {
  type: 'create-user',
  username: 'joe',
  roles: ['admin'],
  traits: { logins: ['joe'] },
  invite,
};
const logIn: LogIn = {
  type: 'log-in',
  now,
  password: { status: 'matched', id: 'p1' },
  otp: { status: 'matched', id: 'o1', step: 101 },
  addresses,
  source: here,
};
const loggedIn: UserFact = {
  type: 'user.logged_in',
  data: { method: 'local', otp: { status: 'matched', step: 101 }, addresses, source: here },
};
const refusedAt = (at: string, source = here): UserFact => ({
  type: 'user.login_refused',
  data: { reason: 'wrong_password', at, addresses, source },
});

describe('creating a user', () => {
  it('comes with an invite', () => {
    given().when(create).then(created, invited);
  });
  it('refuses a name that exists', () => {
    given(created).when(create).refused('already_exists', 'user "joe" already registered');
  });
  it('begins a new life when the name was deleted', () => {
    const deleted: UserFact = { type: 'user.deleted', data: {} };
    const before = { attempts: 'here' as const, era: { cleared: 2, forgotten: 1 } };
    const again = user.decide(fold(user, [...ready, deleted]), create);
    expect(again).toEqual([{ ...created, data: { ...created.data, before } }, invited]);
    const state = fold(user, [...ready, refusedAt(now), deleted, created]) as ActiveUser;
    expect(state).toMatchObject({ passwordId: null, otp: null, invite: null, failures: [], lock: null });
  });
  it.each(['', '../x', 'a b', '-x', '.', 'a/b', 'x'.repeat(129), 'a\n'])(
    'refuses the name %j',
    (username) => {
      given()
        .when({ ...create, username })
        .refused('bad_request');
    },
  );
  it('refuses a login that no system has, no roles, and a name of a role that cannot be', () => {
    given()
      .when({ ...create, traits: { logins: ['-rf'] } })
      .refused('bad_request', '"-rf" is not a valid');
    given()
      .when({ ...create, roles: [] })
      .refused('bad_request', 'at least one role');
    given()
      .when({ ...create, roles: ['a b'] })
      .refused('bad_request');
  });
});

describe('logging in', () => {
  it('admits with password and code', () => {
    given(...ready)
      .when(logIn)
      .then(loggedIn);
    expect(loginOutcome([loggedIn])).toEqual({ status: 'logged_in' });
  });
  it('admits without a code when none is required', () => {
    given(created, passwordSet)
      .when({ ...logIn, otp: { status: 'not_required' } })
      .then({
        type: 'user.logged_in',
        data: { method: 'local', otp: { status: 'not_required' }, addresses, source: here },
      });
  });

  const refusedFor = (command: Partial<LogIn>, ...facts: UserFact[]): unknown =>
    loginOutcome(user.decide(fold(user, facts), { ...logIn, ...command }));
  it.each<[string, Partial<LogIn>]>([
    ['wrong_password', { password: { status: 'wrong' } }],
    ['wrong_password', { password: { status: 'matched', id: 'p0' } }],
    ['no_otp', { otp: { status: 'absent' } }],
    ['wrong_otp', { otp: { status: 'wrong' } }],
    ['wrong_otp', { otp: { status: 'matched', id: 'o0', step: 101 } }],
    ['used_otp', { otp: { status: 'matched', id: 'o1', step: 100 } }],
    ['used_otp', { otp: { status: 'matched', id: 'o1', step: 99 } }],
  ])('refuses: %s for %j', (reason, command) => {
    expect(refusedFor(command, ...ready)).toEqual({ status: 'refused', reason });
  });
  it('takes a code once', () => {
    expect(refusedFor({}, ...ready, loggedIn)).toEqual({ status: 'refused', reason: 'used_otp' });
  });
  it('refuses a code when the user has no seed', () => {
    expect(refusedFor({}, created, passwordSet)).toEqual({ status: 'refused', reason: 'wrong_otp' });
  });
  it('refuses the old password from the moment of a reset', () => {
    const reset: UserFact = { type: 'user.password_reset', data: {} };
    expect(refusedFor({}, ...ready, reset)).toEqual({ status: 'refused', reason: 'wrong_password' });
  });
  it('makes no fact for an unknown user', () => {
    given().when(logIn).then();
    expect(loginOutcome([])).toEqual({ status: 'refused', reason: 'unknown_or_locked' });
  });
});

describe('failing to log in', () => {
  const wrong: LogIn = { ...logIn, password: { status: 'wrong' } };
  const minutesAgo = (n: number): string => plusMs(now, -n * minute);
  const four = [4, 3, 2, 1].map((n) => refusedAt(minutesAgo(n)));

  it('forgets a failure after 30 minutes', () => {
    given(...ready, refusedAt(minutesAgo(30)), ...four.slice(1))
      .when(wrong)
      .then(refusedAt(now));
  });
  it('begins to count again after a success, a new password or an unlock', () => {
    for (const calming of [loggedIn, passwordSet, { type: 'user.unlocked', data: {} } as const])
      given(...ready, ...four, calming)
        .when(wrong)
        .then(refusedAt(now));
  });

  const until = plusMs(now, 20 * minute);
  const locked: UserFact = { type: 'user.locked', data: { until, reason: 'x' } };
  it('refuses everything while locked, and makes no fact of it', () => {
    given(...ready, ...four, refusedAt(now), locked)
      .when(logIn)
      .then();
    given(...ready, locked)
      .when({ ...wrong, now: plusMs(until, -1) })
      .then();
  });
  it('shows the lock to the operator until the instant it ends', () => {
    const state = fold(user, [...ready, locked]);
    expect(lockOf(state, { now: plusMs(until, -1) })).toEqual({ status: 'locked', until, reason: 'x' });
    expect(lockOf(state, { now: until })).toEqual({ status: 'active' });
    given(...ready, locked)
      .when({ ...logIn, now: until })
      .then(loggedIn);
  });
});

describe('setting credentials', () => {
  const set: UserCommand = {
    type: 'set-credentials',
    inviteHash: 'h1',
    passwordId: 'p1',
    passwordHash: bytes,
    otp: { status: 'set', id: 'o1', seed: bytes, usedStep: 100 },
    addresses,
  };
  it('seals the hash and the seed, and spends the code', () => {
    given(created, invited)
      .when(set)
      .then({ ...passwordSet, secrets: { passwordHash: bytes } }, { ...otpSet, secrets: { otpSeed: bytes } });
  });
  it('keeps the second factor when told so', () => {
    given(created, invited)
      .when({ ...set, otp: { status: 'unchanged' } })
      .then({ ...passwordSet, secrets: { passwordHash: bytes } });
  });
  it('refuses a link that was used, replaced, or is of another life of the name', () => {
    const other: UserFact = {
      ...invited,
      data: { ...invited.data, inviteHash: 'h2', purpose: 'reset' },
    };
    given(...ready)
      .when(set)
      .refused('access_denied');
    given(created, invited, other).when(set).refused('access_denied');
    given(created, invited, { type: 'user.deleted', data: {} }).when(set).refused('access_denied');
  });
});

describe('changing a user', () => {
  it('makes a fact only of what differs', () => {
    const change = { type: 'change-user-access', username: 'joe' } as const;
    given(created)
      .when({ ...change, roles: ['admin', 'admin'], traits: { logins: ['joe'] } })
      .then();
    given(created)
      .when({ ...change, roles: ['admin', 'dev'], traits: { logins: ['joe'], team: ['x'] } })
      .then(
        { type: 'user.roles_changed', data: { roles: ['admin', 'dev'] } },
        { type: 'user.traits_changed', data: { traits: { logins: ['joe'], team: ['x'] } } },
      );
  });
  it('does not take a trait without values for a change that somebody else made', () => {
    const change = { type: 'change-user-access', username: 'joe', roles: ['dev'] } as const;
    const made: UserFact = { ...created, data: { ...created.data, traits: { logins: ['joe'], groups: [] } } };
    given(made)
      .when({ ...change, expected: { roles: ['admin'], traits: { logins: ['joe'] } } })
      .then({ type: 'user.roles_changed', data: { roles: ['dev'] } });
    given(made)
      .when({ ...change, expected: { roles: ['admin'], traits: { logins: ['joe'], groups: ['x'] } } })
      .refused('conflict', 'user "joe" was changed meanwhile: read it again');
  });
  it('unlocks only who has failed', () => {
    given(...ready)
      .when({ type: 'unlock-user', username: 'joe' })
      .then();
    given(...ready, refusedAt(now))
      .when({ type: 'unlock-user', username: 'joe' })
      .then({ type: 'user.unlocked', data: {} });
  });
  it.each(['reset-user', 'delete-user', 'unlock-user', 'change-user-access'] as const)(
    'refuses to %s who is not there',
    (type) => {
      given().when({ type, username: 'joe', invite }).refused('not_found', 'user "joe" is not found');
    },
  );
});

describe('any sequence of commands', () => {
  const hash = fc.constantFrom('h1', 'h2');
  const at = fc.integer({ min: 0, max: 90 }).map((n) => plusMs(now, n * minute));
  const inviteRef = hash.map((h) => ({ ...invite, hash: h }));
  const command: fc.Arbitrary<UserCommand> = fc.oneof(
    inviteRef.map((i) => ({ ...create, invite: i })),
    inviteRef.map((i) => ({ type: 'reset-user', username: 'joe', invite: i }) as const),
    fc.record({
      type: fc.constant('set-credentials' as const),
      inviteHash: hash,
      passwordId: fc.constantFrom('p1', 'p2'),
      passwordHash: fc.constant(bytes),
      otp: fc.oneof(
        fc.constant({ status: 'unchanged' as const }),
        fc.nat(200).map((usedStep) => ({ status: 'set' as const, id: 'o1', seed: bytes, usedStep })),
      ),
      addresses: fc.constant(addresses),
    }),
    fc.constantFrom(
      { type: 'delete-user', username: 'joe' } as const,
      { type: 'unlock-user', username: 'joe' } as const,
    ),
    fc.array(fc.constantFrom('admin', 'dev'), { maxLength: 2 }).map((roles) => ({
      type: 'change-user-access' as const,
      username: 'joe',
      roles,
    })),
  );
  const attempt: fc.Arbitrary<LogIn> = fc.record({
    type: fc.constant('log-in' as const),
    now: at,
    password: fc.oneof(
      fc.constant({ status: 'wrong' as const }),
      fc.constantFrom('p1', 'p2').map((id) => ({ status: 'matched' as const, id })),
    ),
    otp: fc.oneof(
      fc.constantFrom(
        { status: 'not_required' as const },
        { status: 'absent' as const },
        { status: 'wrong' as const },
      ),
      fc.nat(200).map((step) => ({ status: 'matched' as const, id: 'o1', step })),
    ),
    addresses: fc.constant(addresses),
    source: fc.constantFrom(undefined, 'here', 'there'),
  });
  const any = fc.oneof(command, attempt);

  it('replays to the same state', () => {
    expectReplays(user, any);
  });

  it('never admits the same step twice in one life of a seed, nor anyone while locked', () => {
    fc.assert(
      fc.property(fc.array(any, { maxLength: 40 }), (commands) => {
        let state: UserState = fold(user, ready);
        for (const one of commands) {
          let facts: readonly UserFact[] = [];
          try {
            facts = user.decide(state, one);
          } catch {
            // Refused: nothing happens.
          }
          if (one.type === 'log-in' && facts.some(({ type }) => type === 'user.logged_in')) {
            expect(isLockedFor(state as ActiveUser, one.source, one)).toBe(false);
            if (one.otp.status === 'matched')
              expect(one.otp.step).toBeGreaterThan((state as ActiveUser).otp?.lastStep ?? Infinity);
          }
          state = facts.reduce((s, fact) => user.evolve(s, fact), state);
        }
      }),
    );
  });
});
