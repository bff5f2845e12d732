import { describe, expect, it } from 'vitest';
import { DoneUnheard } from '../../api/done-unheard.ts';
import type { OutputOf } from '../../api/operation.ts';
import { createLock } from '../../api/operations/lock.ts';
import { listSessions as list } from '../../api/operations/session.ts';
import { AnsweringAuth } from '../testing.ts';
import { testIo, testNow } from '../tsh/testing.ts';
import { endSession, listSessions } from './sessions.ts';
import { tctlInvocation } from './testing.ts';

type Running = OutputOf<typeof list>['sessions'][number];

const sid = '0b0a5b1e-3f2b-4c5d-8e9f-000000000001';
const hostId = '0b0a5b1e-3f2b-4c5d-8e9f-00000000000a';
const session = (change: Partial<Running> = {}): Running => ({
  ...{ sid, user: 'alice', login: 'root', from: '192.0.2.7', hostId, nodename: 'web-1' },
  startedAt: '2026-01-31T07:00:00.000Z',
  ...change,
});
const other = session({ sid: sid.replace(/1$/, '2'), user: 'bob', nodename: 'db-1', hostId: sid });
const unnamed = [{ hostId, nodename: 'web-1', count: 3 }];

describe('tctl sessions ls', () => {
  const auth = new AnsweringAuth().on(list, () => ({ sessions: [session(), other], unnamed }));
  const printed = async (...flags: string[]): Promise<string> => {
    const io = testIo('');
    expect(await listSessions(tctlInvocation('sessions', 'ls', ...flags), io, auth.ask)).toBe(0);
    return io.out();
  };

  it('lists sessions, and says where more run', async () => {
    const text = await printed();
    expect(text).toMatch(/ alice +root +web-1 /);
    expect(text).toMatch(/ bob +root +db-1 /);
    expect(text).toContain(`3 more on web-1 (${hostId}), which cannot name so many\n`);
  });

  it('lists those of a user, and those on a node by its name or id', async () => {
    const users = async (...flags: string[]): Promise<string[]> =>
      (JSON.parse(await printed('--format=json', ...flags)) as Running[]).map(({ user }) => user);
    expect(await users()).toEqual(['alice', 'bob']);
    expect(await users('--user=bob')).toEqual(['bob']);
    expect(await users('--node=web-1')).toEqual(['alice']);
    expect(await users(`--node=${hostId.toUpperCase()}`)).toEqual(['alice']);
    expect(await users('--user=bob', '--node=web-1')).toEqual([]);
    expect(await printed('--node=none')).toBe('No sessions with a terminal run now.\n');
  });
});

describe('tctl sessions end', () => {
  const created = {
    ...{ lockId: 'l1', known: true, unaware: [], position: 7 },
    target: { kind: 'session' as const, name: sid },
  };
  /** The session runs until it was looked for so often after the lock. Nobody waits for real. */
  function cluster(looksUntilEnd: number) {
    let [now, looks, isLocked] = [0, 0, false];
    const auth = new AnsweringAuth()
      .on(list, () => {
        if (isLocked) looks++;
        return { sessions: looks > looksUntilEnd ? [other] : [other, session()], unnamed: [] };
      })
      .on(createLock, () => {
        isLocked = true;
        return created;
      });
    const io = testIo('');
    const timed = { ...io, world: { ...io.world, now: () => testNow, monotonic: () => now } };
    const wait = async (ms: number): Promise<void> => {
      now += ms;
      await Promise.resolve();
    };
    const end = (...argv: string[]): Promise<number> =>
      endSession(tctlInvocation('sessions', 'end', ...argv), timed, auth.ask, wait);
    return { auth, io, end, waited: () => now };
  }

  it('locks the session, and waits until its node says that it has ended', async () => {
    const { auth, io, end, waited } = cluster(2);
    expect(await end(` ${sid.toUpperCase()} `, '--message=go home')).toBe(0);
    expect(auth.calls.filter(([name]) => name === 'lock.create')).toEqual([
      ['lock.create', { kind: 'session', target: sid, message: 'go home', ttlSeconds: 600 }],
    ]);
    expect(io.out()).toBe(`Ended session ${sid} of alice on web-1.\n`);
    expect(waited()).toBe(1_000);
  });

  it('says that it is not confirmed, after a while', async () => {
    const { auth, io, end, waited } = cluster(Infinity);
    expect(await end(sid)).toBe(1);
    expect(io.out()).toBe('');
    expect(io.err()).toMatch(
      /^session .* of alice on web-1 was told to end, and its node has not confirmed that within 20 s: .* within 10 minutes;/,
    );
    expect(waited()).toBe(20_000);
    expect(auth.calls).toContainEqual([
      'lock.create',
      expect.objectContaining({ message: 'this session was ended by an administrator' }),
    ]);
  });

  it('needs no answer to the lock where the log has it', async () => {
    const { auth, io, end } = cluster(0);
    auth.on(list, () => ({ sessions: auth.called.includes('lock.create') ? [] : [session()], unnamed: [] }));
    auth.on(createLock, () => {
      throw new DoneUnheard('the connection broke; it was done');
    });
    expect(await end(sid)).toBe(0);
    expect(io.err()).toBe('the connection broke; it was done\n');
  });

  it('locks nothing that does not run, or is the id of no session', async () => {
    const { auth, end } = cluster(0);
    await expect(end(hostId)).rejects.toMatchObject({
      code: 'not_found',
      message: `session '${hostId}' not found or it has ended`,
    });
    expect(auth.called).toEqual(['session.list']);
    for (const wrong of ['', 's1', `${sid}0`])
      await expect(end(wrong)).rejects.toMatchObject({
        code: 'bad_request',
        message: `"${wrong}" is not a valid session ID (must be GUID)`,
      });
    expect(auth.called).toEqual(['session.list']);
  });
});
