import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { second } from '../../base/time.ts';
import type { Adopted } from '../../domain/rotation-mark.ts';
import { findHost } from '../../views/hosts.ts';
import { presenceOf } from '../../views/presence.ts';
import { type HostWithMarks, reportingHosts } from '../../views/reporting-hosts.ts';
import { eventsOf, hostCall, openTestAuth, type TestAuth } from '../testing.ts';
import { heartbeat } from './heartbeat.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth();
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const host = {
  hostId: '00000000-0000-4000-8000-000000000b01',
  role: 'Node',
  nodename: 'node-1',
  address: '10.0.0.1:3022',
  publicAddress: '',
  sshPublicAddress: '',
  labels: {},
  version: '4.5.0',
  understands: 2,
} as const;
const report = (adopted?: Adopted): unknown =>
  heartbeat(auth.deps, hostCall('Node', host.hostId), { host, ttlSeconds: 60, ...(adopted && { adopted }) });
const seen = (): readonly HostWithMarks[] => {
  const { hosts, presence, clock } = auth.deps.views;
  return reportingHosts(hosts.state(), presence.state(), clock);
};
const renewals = async (): Promise<number> => (await eventsOf(auth.log, 'presence')).length;

describe('a host that reports what it has adopted of a rotation', () => {
  it('is known to have it when its heartbeat is answered, and not stored again before that changes', async () => {
    await report();
    expect(seen()).toMatchObject([{ marks: {} }]);
    await report(['aaaa1111:init', '']);
    expect(seen()).toMatchObject([{ marks: { user: 'aaaa1111:init', host: '' } }]);
    const before = await renewals();
    await report(['aaaa1111:init', '']);
    expect(await renewals()).toBe(before);
    await report(['aaaa1111:init', 'bbbb2222:init']);
    expect(await renewals()).toBe(before + 1);
  });

  it('is not waited for when it has said that it stops, until it is heard again', async () => {
    await report();
    await heartbeat(auth.deps, hostCall('Node', host.hostId), { host, ttlSeconds: 60, leaving: true });
    expect(seen()).toEqual([]);
    await report();
    await auth.deps.presence.flush();
    await auth.deps.views.presence.reached(await auth.log.presence.head());
    expect(seen()).toHaveLength(1);
  });

  it('is no longer a member when it has said that it stops for good, and may come back', async () => {
    await report();
    const farewell = { host, ttlSeconds: 60, leaving: true, forGood: true } as const;
    for (let n = 0; n < 2; n++) await heartbeat(auth.deps, hostCall('Node', host.hostId), farewell);
    const { hosts, presence } = auth.deps.views;
    expect(findHost(hosts.state(), host.hostId, 'Node')).toBeUndefined();
    expect(presenceOf(presence.state(), host, auth.deps.views.clock.monotonic()).status).toBe('gone');
    const left = (await eventsOf(auth.log, 'state')).filter(({ fact }) => fact.type === 'host.left');
    expect(left.map(({ fact }) => fact.data)).toEqual([{ role: 'Node', reason: 'it was stopped for good' }]);
    // For good means that nobody else may say so of it.
    const other = hostCall('Node', '00000000-0000-4000-8000-0000000000d9');
    await expect(heartbeat(auth.deps, other, farewell)).rejects.toMatchObject({ code: 'access_denied' });
    await report();
    expect(findHost(hosts.state(), host.hostId, 'Node')).toBeDefined();
  });

  it('is listed with its address and release for as long as it is alive', async () => {
    await report();
    const { hostId, role, nodename, address, version, understands } = host;
    expect(seen()).toEqual([
      { hostId, role, nodename, address, version, understands, lastSeenAt: auth.world.now(), marks: {} },
    ]);
    auth.world.advance(60 * second);
    expect(seen()).toEqual([]);
  });
});

describe('a host that is one of many', () => {
  it('is told over how long all of them spread their reports, from 25 on', async () => {
    const others = (count: number) =>
      Promise.all(
        Array.from({ length: count }, (_, n) => {
          const hostId = `00000000-0000-4000-8000-0000000000${n + 10}`;
          const one = { ...host, hostId, nodename: `other-${n}` };
          return heartbeat(auth.deps, hostCall('Node', hostId), { host: one, ttlSeconds: 60 });
        }),
      );
    await others(23);
    expect(await report()).toEqual({});
    await others(24);
    // 500 a second.
    expect(await report()).toEqual({ spreadMs: 50 });
  });
});
