import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { minute } from '../../base/time.ts';
import type { LiveSession } from '../../domain/live-sessions.ts';
import { heartbeat } from '../host/heartbeat.ts';
import { rulesOf } from '../rules-of.ts';
import { adminCall, hostCall, openTestAuth, type TestAuth, userCall } from '../testing.ts';
import { listSessions } from './list-sessions.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth({ secondFactor: 'off' });
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const id = (n: number): string => `00000000-0000-4000-8000-0000000000b${n}`;
const session = (n: number, user: string): LiveSession => ({
  ...{ sid: `00000000-0000-4000-8000-00000000000${n}`, user, login: 'root', from: '10.0.0.1' },
  startedAt: `2026-01-01T00:00:0${n}.000Z`,
});

async function tell(n: number, known: readonly LiveSession[], more?: number): Promise<void> {
  const host = {
    ...{ hostId: id(n), role: 'Node' as const, nodename: `node-${n}`, address: `10.0.0.${n}:3022` },
    ...{ publicAddress: '', sshPublicAddress: '', labels: {}, version: '4.5.0' },
  };
  const sessions = { known: [...known], ...(more === undefined ? {} : { more }) };
  await heartbeat(auth.deps, hostCall('Node', id(n)), { host, ttlSeconds: 600, sessions });
  await auth.deps.views.presence.reached((await auth.deps.presence.flush()) ?? 0);
}

const person = (name: string, roles: string[]) => {
  const call = userCall(name, roles);
  if (call.caller.kind !== 'user') throw new Error('a person');
  return { ...call, rules: rulesOf(auth.deps)(call.caller) };
};
const seenBy = async (call: Parameters<typeof listSessions>[1]) =>
  (await listSessions(auth.deps, call, {})).sessions.map(
    ({ sid, nodename }) => `${sid.at(-1)} on ${nodename}`,
  );

describe('a list of the sessions that run now', () => {
  it('has those of all nodes that are alive, the oldest first', async () => {
    await tell(1, [session(3, 'alice'), session(1, 'bob')]);
    await tell(2, [session(2, 'alice')], 7);
    expect(await seenBy(adminCall)).toEqual(['1 on node-1', '2 on node-2', '3 on node-1']);
    const { unnamed } = await listSessions(auth.deps, adminCall, {});
    expect(unnamed).toEqual([{ hostId: id(2), nodename: 'node-2', count: 7 }]);
    auth.world.advance(9 * minute);
    await tell(2, []);
    auth.world.advance(2 * minute);
    expect(await seenBy(adminCall)).toEqual([]);
  });

  it('shows people their own, and others only where a rule does', async () => {
    await tell(1, [session(1, 'alice'), session(2, 'bob')], 3);
    expect(await seenBy(person('alice', []))).toEqual(['1 on node-1']);
    expect(await seenBy(person('alice', ['access']))).toEqual(['1 on node-1']);
    expect(await seenBy(person('eve', ['access']))).toEqual([]);
    expect(await seenBy(person('eve', ['auditor']))).toEqual(['1 on node-1', '2 on node-1']);
    expect((await listSessions(auth.deps, person('alice', ['access']), {})).unnamed).toEqual([]);
  });
});
