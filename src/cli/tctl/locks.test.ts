import { describe, expect, it } from 'vitest';
import { DoneUnheard } from '../../api/done-unheard.ts';
import type { OutputOf } from '../../api/operation.ts';
import { createLock, deleteLock, listLocks as lockList } from '../../api/operations/lock.ts';
import { listUsers as userList } from '../../api/operations/user.ts';
import { AnsweringAuth } from '../testing.ts';
import { testIo, testNow } from '../tsh/testing.ts';
import { listLocks, lock, unlock } from './locks.ts';
import { tctlInvocation } from './testing.ts';

const target = { kind: 'user', name: 'joe' } as const;

describe('tctl lock', () => {
  const made: OutputOf<typeof createLock> = { lockId: 'l1', target, known: true, unaware: [], position: 7 };
  const locked = async (change: Partial<typeof made>, ...flags: string[]) => {
    const [io, auth] = [testIo(''), new AnsweringAuth().on(createLock, () => ({ ...made, ...change }))];
    expect(await lock(tctlInvocation('lock', ...flags), io, auth.ask)).toBe(0);
    return { calls: auth.calls, out: io.out(), err: io.err() };
  };

  it('locks what one flag names, for as long as it says', async () => {
    const { calls, out, err } = await locked({}, '--user= joe ', '--ttl=30m', '--message=call the desk');
    expect(calls).toEqual([
      ['lock.create', { kind: 'user', target: 'joe', message: 'call the desk', ttlSeconds: 1_800 }],
    ]);
    expect([out, err]).toEqual(['Created a lock with name "l1".\n', '']);
    expect((await locked({}, '--role=dev')).calls).toEqual([
      ['lock.create', { kind: 'role', target: 'dev', message: '' }],
    ]);
  });

  it('prints JSON for programs', async () => {
    const { out } = await locked({ expiresAt: testNow }, '--user=joe', '--format=json');
    expect(JSON.parse(out)).toEqual({ id: 'l1', target, expires: testNow });
  });

  it('warns of a name that nobody has, and of machines that do not know locks', async () => {
    const { out, err } = await locked({ known: false, unaware: ['web-1', 'web-2'] }, '--user=joe');
    expect(out).toBe('Created a lock with name "l1".\n');
    expect(err.split('\n')).toEqual([
      'warning: the cluster has no user "joe" now: check the spelling',
      'warning: the lock does not hold on web-1, web-2: their release knows of no locks, upgrade them',
      '',
    ]);
  });

  it('says how its name is found where the answer was lost', async () => {
    const io = testIo('');
    const auth = new AnsweringAuth().on(createLock, () => {
      throw new DoneUnheard('it broke; it was done');
    });
    expect(await lock(tctlInvocation('lock', '--user=joe'), io, auth.ask)).toBe(0);
    expect(io.err()).toBe('it broke; it was done\n"tctl locks ls" prints the name of the lock\n');
    expect(io.out()).toBe('');
  });

  it('locks nothing unless exactly one thing is named, in its form', async () => {
    const auth = new AnsweringAuth();
    for (const [flags, message] of [
      [[], 'need exactly one of --user, --role, --login, --node, --session, --serial'],
      [['--user=joe', '--role=dev'], 'need exactly one of'],
      [['--user=joe', '--ttl=soon'], '--ttl'],
      [['--session=s1'], 's1'],
      [['--serial=x'], 'x'],
    ] as const)
      await expect(lock(tctlInvocation('lock', ...flags), testIo(''), auth.ask)).rejects.toMatchObject({
        code: 'bad_request',
        message: expect.stringContaining(message) as string,
      });
    expect(auth.calls).toEqual([]);
  });
});

describe('tctl locks ls', () => {
  const until = '2026-01-31T08:20:00.000Z';
  const user = {
    ...{ username: 'ann', roles: ['dev'], traits: {}, createdAt: testNow },
    lock: { status: 'locked' as const, until, reason: 'too many failed logins' },
  };
  const auth = new AnsweringAuth()
    .on(lockList, () => ({ locks: [{ lockId: 'l1', target, message: '', createdAt: testNow, by: 'admin' }] }))
    .on(userList, () => ({ users: [user] }));
  const printed = async (...flags: string[]): Promise<string> => {
    const io = testIo('');
    expect(await listLocks(tctlInvocation('locks', 'ls', ...flags), io, auth.ask)).toBe(0);
    return io.out();
  };

  it('has locks, and passwords that failed logins locked', async () => {
    const text = await printed();
    expect(text).toMatch(/l1 +User:"joe" +never +admin/);
    expect(text).toMatch(/ann +everywhere new +too many failed logins +2026-01-31T08:20:00.000Z \(20m0s\)/);
    expect(JSON.parse(await printed('--format=json'))).toMatchObject([
      { kind: 'lock', metadata: { name: 'l1' }, spec: { target: { user: 'joe' } } },
      { kind: 'password_lock', metadata: { name: 'ann', expires: until } },
    ]);
  });
});

describe('tctl unlock', () => {
  it('ends a lock by its id', async () => {
    const [io, auth] = [testIo(''), new AnsweringAuth().on(deleteLock, () => ({ position: 8 }))];
    expect(await unlock(tctlInvocation('unlock', ' l1 '), io, auth.ask)).toBe(0);
    expect(auth.calls).toEqual([['lock.delete', { lockId: 'l1' }]]);
    expect(io.out()).toBe('Lock "l1" has been deleted\n');
  });

  it('needs an id', async () => {
    const auth = new AnsweringAuth();
    for (const argv of [[], [' ']])
      await expect(unlock(tctlInvocation('unlock', ...argv), testIo(''), auth.ask)).rejects.toThrow(
        'Need an argument: id',
      );
    expect(auth.calls).toEqual([]);
  });
});
