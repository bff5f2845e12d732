import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeWorld, fakeWorld, recordingMetrics } from '../../api/testing.ts';
import { hour, minute } from '../../base/time.ts';
import { factsLevel } from '../../domain/critical.ts';
import type { ClusterLog, EventLog } from '../../log/event-log.ts';
import { memoryLog } from '../../log/memory-log.ts';
import { userStream } from '../../domain/streams.ts';
import { attemptsHere } from '../../views/attempts-here.ts';
import { findUser } from '../../views/users.ts';
import { searchAudit } from '../audit/search-audit.ts';
import { startCompaction } from '../log/compaction.ts';
import { guardedLog } from '../log/guarded-log.ts';
import {
  addUser,
  adminCall,
  announceAuth,
  authHostId,
  codeFor,
  eventsOf,
  openTestAuth,
  type TestAuth,
  tryLogin,
} from '../testing.ts';
import { moveAttempts } from './attempts-apart.ts';
import { listUsers } from './list-users.ts';
import { resetUser } from './reset-user.ts';
import { unlockUser } from './unlock-user.ts';

const password = 'correct horse';
const otherId = '00000000-0000-4000-8000-00000000000b';
let world: FakeWorld;
let log: ClusterLog;
let auths: TestAuth[];
/** Runs when an append to `attempts` is durable, before its writer hears of it. */
let between: (() => Promise<void>) | undefined;

const open = async (hostId = authHostId): Promise<TestAuth> => {
  const plain = guardedLog(log, () => undefined);
  const attempts: EventLog = {
    ...plain.attempts,
    append: async (...append) => {
      const position = await plain.attempts.append(...append);
      const act = between;
      between = undefined;
      await act?.();
      return position;
    },
  };
  const auth = await openTestAuth({ log: { ...plain, attempts }, world, hostId });
  auths.push(auth);
  return auth;
};
beforeEach(() => {
  [world, auths, between] = [fakeWorld(), [], undefined];
  log = memoryLog({ world });
});
afterEach(async () => {
  for (const auth of auths) await auth.close();
  await log.close();
});

const loginAs = (auth: TestAuth, url: string, more: object = {}) =>
  tryLogin(auth, { username: 'alice', password, otp: codeFor(url, world.now()), ...more });
const told = async (auth: TestAuth): Promise<string[]> => {
  const { events } = await searchAudit(auth.deps, adminCall, {
    ...{ from: '2000-01-01T00:00:00.000Z', to: '2100-01-01T00:00:00.000Z' },
    ...{ types: ['user.login', 'cert.create'], user: '', limit: 10_000 },
  });
  return events.map((one) => `${one.code} ${JSON.stringify(one['error'] ?? one.user)}`);
};
const types = async (partition: 'state' | 'attempts' | 'audit'): Promise<string[]> =>
  (await eventsOf(log, partition)).map(({ fact }) => fact.type);
/** What is trimmed is trimmed by many slots at a time. */
const compact = async (auth: TestAuth): Promise<void> => {
  await auth.deps.attemptsTeller.tellBeforeTrim();
  const cause = { at: world.now(), actor: 'auth', requestId: 'r' };
  const facts = [{ type: 'trial.happened', data: {} }];
  for (let n = 0; n < 80; n++)
    await log.attempts.append([{ stream: `trial-${world.uuid()}`, expected: 0, facts }], cause);
  await auth.deps.views.freshAttempts();
  await log.takeSnapshot('attempts', auth.deps.views.stored('attempts'), { trim: true }, cause);
};

describe('a login', () => {
  it('is one fact where attempts are recorded, and nothing of it stays in state', async () => {
    const auth = await open();
    const url = await addUser(auth, 'alice', password);
    const before = await types('state');
    await loginAs(auth, url);
    world.advance(minute);
    await loginAs(auth, url);
    expect(await types('state')).toEqual(before);
    expect(await types('attempts')).toEqual(['attempts.begun', 'user.logged_in', 'user.logged_in']);
    expect(await told(auth)).toEqual([
      'T1000I "alice"',
      'TC000I "alice"',
      'T1000I "alice"',
      'TC000I "alice"',
    ]);
  });

  it('works once with a code that is given to two servers at the same moment', async () => {
    const [one, other] = [await open(), await open(otherId)];
    const url = await addUser(one, 'alice', password);
    const all = await Promise.allSettled([loginAs(one, url), loginAs(other, url)]);
    expect(all.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('gets nothing when the password is reset before it is answered, and the audit says so', async () => {
    const auth = await open();
    const url = await addUser(auth, 'alice', password);
    between = async () => {
      await resetUser(auth.deps, adminCall, { username: 'alice', resetTtlSeconds: 3600 });
    };
    await expect(loginAs(auth, url)).rejects.toMatchObject({
      code: 'access_denied',
      message: 'invalid username, password or second factor',
    });
    expect(await told(auth)).toContainEqual(
      expect.stringMatching(/^T1000W "the login was recorded, and no certificate issued: /),
    );
  });

  it('is refused where a newer release wrote something about the user, which spends nothing', async () => {
    const auth = await open();
    const url = await addUser(auth, 'alice', password);
    const stream = userStream('alice');
    const facts = [{ type: 'user.nicknamed', data: {} }];
    const write = { stream, expected: await log.state.revision(stream), facts };
    await log.state.append([write], { at: world.now(), actor: 'auth', requestId: 'r' });
    await expect(loginAs(auth, url)).rejects.toMatchObject({
      code: 'unavailable',
      message: 'user-alice holds a fact this version does not know: user.nicknamed',
    });
    expect(await types('attempts')).toEqual([]);
  });

  it.each([1, 2])('is told to the audit once, by whoever is left of %d servers', async (count) => {
    const auth = await open();
    const url = await addUser(auth, 'alice', password);
    const { length } = await eventsOf(log, 'audit');
    // As a server that is killed right then.
    const before = { ...auth.deps.attemptsTeller };
    Object.assign(auth.deps.attemptsTeller, { tell: () => Promise.resolve(), soon: () => undefined });
    for (let n = 0; n < 70; n++) {
      world.advance(minute);
      await loginAs(auth, url);
    }
    expect(await eventsOf(log, 'audit')).toHaveLength(length);
    Object.assign(auth.deps.attemptsTeller, before);
    const others = await Promise.all(
      Array.from({ length: count }, (_, n) => open(otherId.slice(0, -1) + String(n))),
    );
    await Promise.all(others.map(({ deps }) => deps.attemptsTeller.tell()));
    expect(await eventsOf(log, 'audit')).toHaveLength(length + 140);
    expect(await told(auth)).toHaveLength(140);
    for (const { deps } of [...others, auth]) await deps.attemptsTeller.tell();
    expect(await eventsOf(log, 'audit')).toHaveLength(length + 140);
  });
});

describe('what is trimmed of attempts', () => {
  it('is in the audit, and goes on deciding in servers that open later', async () => {
    const first = await open();
    const url = await addUser(first, 'alice', password);
    await addUser(first, 'bob', password);
    const code = codeFor(url, world.now());
    for (let n = 0; n < 5; n++)
      await tryLogin(first, { username: 'bob', password: 'wrong' }).catch(() => undefined);
    for (let n = 0; n < 3; n++) {
      await loginAs(first, url);
      await compact(first);
      await compact(first);
      world.advance(minute);
    }
    expect((await log.inspect('attempts')).firstSlot).toBeGreaterThan(5);
    const lastLogin = (await listUsers(first.deps, adminCall, {})).users.map((one) => one.lastLoginAt);
    const later = await open(otherId);
    const { users } = await listUsers(later.deps, adminCall, {});
    expect(users.map((one) => one.lastLoginAt)).toEqual(lastLogin);
    expect(users).toMatchObject([{ lock: { status: 'active' } }, { lock: { status: 'locked' } }]);
    await expect(loginAs(later, url, { otp: code })).rejects.toMatchObject({ code: 'access_denied' });
    await loginAs(later, url);
    expect(await told(later)).toHaveLength(5 + 3 * 2 + 1 + 2);
    await unlockUser(later.deps, adminCall, { username: 'bob' });
    expect((await listUsers(first.deps, adminCall, {})).users[1]?.lock).toEqual({ status: 'active' });
  });

  it('is not trimmed before the audit has it', async () => {
    const auth = await open();
    const url = await addUser(auth, 'alice', password);
    const tellAttempts = (): Promise<void> => Promise.reject(new Error('bug: told'));
    const { sink, deps } = auth;
    const stats = log.stats();
    const due = { ...stats.attempts, eventsSinceSnapshot: 10_000 };
    const compaction = startCompaction({
      log: { ...guardedLog(log, () => undefined), stats: () => ({ ...stats, attempts: due }) },
      ...{ views: deps.views, world, sink, metrics: recordingMetrics(), hostId: authHostId, tellAttempts },
    });
    await loginAs(auth, url);
    await compaction.run();
    await compaction.close();
    expect((await log.inspect('attempts')).snapshots).toEqual([]);
    expect(sink.lines.join('\n')).toContain('bug: told');
  });
});

describe('attempts of a user', () => {
  const place = (auth: TestAuth): unknown => findUser(auth.deps.views.users.state(), 'alice')?.state.attempts;

  it('stay with the user as long as an auth server is alive that would not look elsewhere', async () => {
    const auth = await open();
    await announceAuth(auth, otherId, factsLevel - 1);
    const url = await addUser(auth, 'alice', password);
    expect(place(auth)).toBe('here');
    await loginAs(auth, url);
    expect([await types('attempts'), (await types('state')).includes('user.logged_in')]).toEqual([[], true]);
    const code = codeFor(url, world.now());
    await tryLogin(auth, { username: 'alice', password: 'wrong' }).catch(() => undefined);
    world.advance(hour);
    await moveAttempts(auth.deps);
    expect(place(auth)).toBe('apart');
    // What was decided before goes on.
    world.advance(-hour);
    await expect(loginAs(auth, url, { otp: code })).rejects.toMatchObject({ code: 'access_denied' });
    expect((await eventsOf(log, 'attempts'))[0]?.fact).toMatchObject({
      type: 'attempts.begun',
      data: { failures: [{ source: '192.0.2.1' }], knownSources: ['192.0.2.1'] },
    });
    expect(await told(auth)).toHaveLength(4);
  });

  it('cost no look at hosts or users once nobody is left to move', async () => {
    const auth = await open();
    for (const name of ['ann', 'bob']) await addUser(auth, name, password);
    await moveAttempts(auth.deps);
    let looks = 0;
    const { views } = auth.deps;
    const hosts = { ...views.hosts, state: () => (looks++, views.hosts.state()) };
    const here = attemptsHere();
    here(views.users.state());
    const appends = log.stats().state.appends;
    for (let n = 0; n < 10; n++)
      await moveAttempts({ ...auth.deps, views: { ...views, hosts } }, undefined, here);
    expect([looks, log.stats().state.appends - appends]).toEqual([0, 0]);
  });
});
