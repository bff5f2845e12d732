import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordingMetrics } from '../../api/testing.ts';
import { hour, second } from '../../base/time.ts';
import { hostInfoOf, type HostRecord } from '../../domain/host-info.ts';
import { openView } from '../../views/open-view.ts';
import { hostNow, presenceViewBy } from '../../views/presence.ts';
import { startCompaction } from '../log/compaction.ts';
import { heartbeat } from './heartbeat.ts';
import { listHosts } from './list-hosts.ts';
import {
  addRole,
  adminCall,
  authHostId,
  eventsOf,
  hostCall,
  openTestAuth,
  type TestAuth,
  userCall,
} from '../testing.ts';

let auth: TestAuth;
beforeEach(async () => {
  auth = await openTestAuth();
});
afterEach(async () => {
  await auth.close();
  await auth.log.close();
});

const node: HostRecord = {
  hostId: '00000000-0000-4000-8000-0000000000b1',
  role: 'Node',
  nodename: 'node-1',
  address: '10.0.0.1:3022',
  publicAddress: '',
  sshPublicAddress: '',
  labels: { env: 'dev', load: '0' },
  measured: ['load'],
  version: '4.5.0',
};
const beat = (host: HostRecord) =>
  heartbeat(auth.deps, hostCall('Node', host.hostId), { host, ttlSeconds: 600 });
const beatWith = (labels: HostRecord['labels'], more: Partial<HostRecord> = {}) =>
  beat({ ...node, ...more, labels: { ...node.labels, ...labels } });
const stored = async (): Promise<void> => {
  await auth.deps.views.presence.reached((await auth.deps.presence.flush()) ?? 0);
};
const list = async (call = adminCall, labels = {}) => {
  const { hosts } = await listHosts(auth.deps, call, { role: 'Node', labels });
  return hosts.map((host) => ({ ...host.labels }));
};

describe('a label that a program prints', () => {
  it('leaves state as it was, though it changed each second for an hour, and is shown as it is now', async () => {
    const { log, world, sink, deps } = auth;
    const metrics = recordingMetrics();
    const compaction = startCompaction({
      log,
      views: deps.views,
      tellAttempts: () => deps.attemptsTeller.tellBeforeTrim(),
      world,
      sink,
      metrics,
      hostId: authHostId,
    });
    await beat(node);
    const before = await eventsOf(log, 'state');
    for (let s = 1; s <= hour / second; s++) {
      world.advance(second);
      await beatWith({ load: `${s}` });
      if (s % 5 === 0) await stored();
      if (s % 15 === 0) await compaction.run();
    }
    expect(await eventsOf(log, 'state')).toEqual(before);
    expect(log.stats().presence.eventsSinceSnapshot).toBeLessThan(200);
    expect(await list()).toEqual([{ env: 'dev', load: '3600' }]);
    expect(await list(adminCall, { load: '3600' })).toHaveLength(1);
    expect(await list(adminCall, { load: '0' })).toEqual([]);

    // Who opens its view now, from a snapshot, knows it as well.
    await compaction.close();
    const view = await openView(presenceViewBy(deps.views.clock), log.presence);
    await view.reached(await log.presence.head());
    expect({ ...hostNow(view.state(), hostInfoOf(node)).labels }).toEqual({ env: 'dev', load: '3600' });
    view.close();
  });

  it('is what roles decide by', async () => {
    const roleOf = (name: string, labels: Record<string, string[]>, deny: Record<string, string[]>) => ({
      name,
      options: {
        maxSessionTtlSeconds: 3600,
        forwardAgent: false,
        portForwarding: true,
        disconnectExpiredCert: false,
        clientIdleTimeoutSeconds: 0,
        maxSessions: 0,
      },
      allow: { logins: ['root'], nodeLabels: labels },
      deny: { logins: [], nodeLabels: deny },
    });
    await addRole(auth, roleOf('calm', { load: ['low'] }, {}));
    await addRole(auth, roleOf('careful', { '*': ['*'] }, { load: ['high'] }));
    await beatWith({ load: 'low' });
    const seenBy = async (role: string) => (await list(userCall('alice', [role]))).length;
    expect([await seenBy('calm'), await seenBy('careful')]).toEqual([1, 1]);
    await beatWith({ load: 'high' });
    await stored();
    expect([await seenBy('calm'), await seenBy('careful')]).toEqual([0, 0]);
    await beatWith({ load: 'middling' });
    await stored();
    expect([await seenBy('calm'), await seenBy('careful')]).toEqual([0, 1]);
  });

  it('that was set before, and the other way round, is a change of what somebody set', async () => {
    const changes = async () =>
      (await eventsOf(auth.log, 'state')).filter((e) => e.fact.type === 'host.changed');
    await beat(node);
    await beatWith({ env: 'prod' });
    expect(await changes()).toHaveLength(1);
    await beatWith({ env: 'prod', load: '7' }, { measured: [] });
    await stored();
    expect(await changes()).toHaveLength(2);
    // It is not measured any more: what presence has of it does not count.
    expect(await list()).toEqual([{ env: 'prod', load: '7' }]);
    await beatWith({ env: 'prod', load: '8' }, { measured: ['load'] });
    expect(await changes()).toHaveLength(3);
  });

  it('is right as well while auth servers and nodes of the release before take part', async () => {
    await beatWith({ load: '1' });
    // An auth server of that release hears it: it keeps all of it in state, and presence says that it lives.
    const asThere = { ...node, labels: { env: 'dev', load: '2' }, measured: undefined };
    await heartbeat(auth.deps, hostCall('Node', node.hostId), { host: asThere, ttlSeconds: 600 });
    await stored();
    expect(await list()).toEqual([{ env: 'dev', load: '2' }]);
    await beatWith({ load: '3' });
    await stored();
    expect(await list()).toEqual([{ env: 'dev', load: '3' }]);
  });
});
