import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listHosts } from '../../src/api/operations/host.ts';
import type { AuthClient } from '../../src/api/client.ts';
import { minute, second } from '../../src/base/time.ts';
import type { ClusterLog } from '../../src/log/event-log.ts';
import type { Partition, Recorded } from '../../src/log/event.ts';
import { type AuthBench, clientOf, identityOf, signersOf, startAuth } from '../harness/auth-bench.ts';
import { until } from '../harness/run-program.ts';
import { hostCertifier } from '../simulator/host-certificates.ts';
import { startLightNode } from '../simulator/light-node.ts';
import { sharedStore, type SharedStore } from '../simulator/shared-store.ts';
import { startSwarm, type Swarm } from '../simulator/swarm.ts';

const count = Number(process.env['SWARM_NODES'] ?? 200);
/** A heartbeat each second: a minute of the real thing in a second. */
const pace = { everyMs: second, ttlSeconds: 600 };

let store: SharedStore;
let dataDir: string;
let auths: AuthBench[];
let swarm: Swarm;
let admins: AuthClient[];

beforeAll(async () => {
  store = sharedStore();
  dataDir = mkdtempSync(join(tmpdir(), 'swarm-'));
  // One after the other: who founds the cluster is not the matter here.
  auths = [await startAuth({ log: await store.log('auth-1') })];
  auths.push(await startAuth({ log: await store.log('auth-2') }));
  const [first] = auths;
  if (!first) throw new Error('no auth server');
  const certify = hostCertifier((await signersOf(first.log)).host);
  admins = await Promise.all(
    auths.map(async (auth) => clientOf([auth.address()], await identityOf(auth, 'Admin'))),
  );
  const servers = auths.map((auth) => auth.address());
  swarm = await startSwarm({
    count,
    atOnce: 20,
    start: (index, tally) =>
      startLightNode({
        servers,
        identity: certify('Node', `node-${index}`),
        nodename: `node-${index}`,
        dataDir: join(dataDir, `node-${index}`),
        pace,
        tally,
      }),
  });
});
afterAll(async () => {
  await swarm.stop();
  for (const admin of admins) admin.close();
  for (const auth of auths) await auth.stop();
  await store.close();
  rmSync(dataDir, { recursive: true });
});

const alive = async (): Promise<string[][]> =>
  Promise.all(
    admins.map(async (admin) => {
      const { hosts } = await admin.call(listHosts, { role: 'Node', labels: {} });
      return hosts.map((host) => host.hostId).sort();
    }),
  );
const ids = (): string[] => swarm.nodes.map((node) => node.hostId).sort();
const factsOf = async (log: ClusterLog, partition: Partition): Promise<Recorded[]> => {
  const all: Recorded[] = [];
  for await (const event of log[partition].history(0)) all.push(event);
  return all;
};
const appends = (): number => auths.reduce((sum, { log }) => sum + log.stats().presence.appends, 0);
const logOf = (): ClusterLog => {
  const [auth] = auths;
  if (!auth) throw new Error('no auth server');
  return auth.log;
};

describe(`heartbeats of ${count} nodes at two auth servers`, () => {
  it('makes every node known alive at both', async () => {
    expect(swarm.troubles()).toEqual(new Map());
    expect(await alive()).toEqual([ids(), ids()]);
  });

  it('are no facts of state: membership is, once for each node', async () => {
    const joined = (await factsOf(logOf(), 'state')).filter(
      (event) => event.fact.type.startsWith('host.') && JSON.stringify(event.fact.data).includes('"Node"'),
    );
    expect(new Set(joined.map((event) => event.fact.type))).toEqual(new Set(['host.joined']));
    expect(joined).toHaveLength(count);
  });

  it('cost appends by the number of auth servers, not of nodes', async () => {
    const [before, beats, began] = [appends(), swarm.tally.heartbeatMs.length, performance.now()];
    await until('every node to have spoken five times', () =>
      swarm.tally.heartbeatMs.length >= beats + 5 * count ? true : undefined,
    );
    const seconds = (performance.now() - began) / 1000;
    // Each auth server says once in three seconds who spoke.
    expect(appends() - before).toBeLessThanOrEqual(2 * (seconds / 3 + 1));
    expect(swarm.tally.refusedHeartbeats).toBe(0);
  });

  it('end with the node: when its time is over it is gone at both', async () => {
    const [silent, speaking] = [swarm.nodes.slice(0, 20), swarm.nodes.slice(20)];
    await Promise.all(silent.map((node) => node.stop()));
    const expected = speaking.map((node) => node.hostId).sort();
    const gone = new Set(silent.map((node) => node.hostId));
    // A time counts from when an auth server learns of it, and the last word of the silent may be under way.
    await until('those who still speak to be alive, and nobody else', async () => {
      const listed = await alive();
      for (const [n, auth] of auths.entries())
        if ((listed[n] ?? []).some((hostId) => gone.has(hostId))) auth.growOlder(11 * minute);
      return JSON.stringify(listed) === JSON.stringify([expected, expected]) ? true : undefined;
    });
  });
});
