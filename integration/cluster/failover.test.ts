import { join } from 'node:path';
import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import type { Write } from '../../src/log/event-log.ts';
import { openKeyring } from '../../src/log/keyring-file.ts';
import { openLog } from '../../src/log/open-log.ts';
import { openBackend } from '../../src/process/store/open-backend.ts';
import { type AuthPair, type AuthServer, authPair } from '../harness/auth-pair.ts';
import { type Cluster, createCluster } from '../harness/cluster.ts';
import { until } from '../harness/run-program.ts';
import { type CountingRelay, countingRelay } from './counting-relay.ts';
import { type EveryStore, startEveryStore, storeKinds } from '../harness/every-store.ts';
import { createFirstUser, logIn, type PeopleCluster } from '../harness/people.ts';
import { locationOf, type Storage } from '../simulator/shared-store.ts';

const login = userInfo().username;
const limitMs = 2_000;

let pair: AuthPair;
/** In front of each auth server, and one address before both. */
let toA: CountingRelay;
let toB: CountingRelay;
let balancer: CountingRelay;
/** A proxy and a node each; they know the two addresses, and the one. */
let listed: Cluster;
let balanced: Cluster;

/** Facts that every proxy and node folds: what they would have to read again. */
async function fillState(store: string, keyFile: string): Promise<void> {
  const location = locationOf(parse(`{${store}}`) as Storage);
  const log = await openLog({
    driver: await openBackend(location, { sink: silentLog, world: realWorld }),
    keyring: await openKeyring(keyFile),
    world: realWorld,
    writer: 'test',
    sink: silentLog,
  });
  const cause = { at: realWorld.now(), actor: 'user:test', requestId: 'r1' };
  const writes = Array.from({ length: 2_000 }, (_, n): Write => {
    const traits = { logins: [`login-${n}`], note: ['x'.repeat(200)] };
    const data = { username: `user${n}`, roles: ['admin'], traits };
    return { stream: `user-user${n}`, expected: 0, facts: [{ type: 'user.created', data }] };
  });
  for (let n = 0; n < writes.length; n += 200) await log.state.append(writes.slice(n, n + 200), cause);
  await log.close();
}

/** A proxy and a node in one process. `join`: lines of the section `teleport`. */
async function hosts(nodename: string, addresses: readonly string[], join: string): Promise<Cluster> {
  const cluster = await createCluster({
    yaml: (text) =>
      text
        .replace('nodename: node1', `nodename: ${nodename}`)
        .replace(
          /auth_service:[^]*?(?=ssh_service:)/,
          `  auth_servers: [${addresses.join(', ')}]\n${join}auth_service: {enabled: no}\n`,
        ),
  });
  await cluster.start();
  return cluster;
}

const portOf = ({ address }: AuthServer): number => Number(address.split(':')[1]);

let stores: EveryStore;
beforeAll(async () => {
  stores = await startEveryStore();
});
afterAll(() => stores.close());

async function startAll(store: string): Promise<void> {
  pair = await authPair(store);
  await pair.a.start();
  await fillState(store, join(pair.dir, 'keyring'));
  [toA, toB, balancer] = await Promise.all([
    countingRelay(portOf(pair.a)),
    countingRelay(portOf(pair.b)),
    countingRelay(portOf(pair.a), portOf(pair.b)),
  ]);
  const [, pin = ''] = /(sha256:[0-9a-f]{64})/.exec(await pair.a.must('status')) ?? [];
  const [, token = ''] = /--token=(\S+)/.exec(await pair.a.must('tokens', 'add', '--type=node,proxy')) ?? [];
  const lines = `  auth_token: ${token}\n  ca_pin: ${pin}\n`;
  [listed, balanced] = await Promise.all([
    hosts('node1', [toA.address, toB.address], lines),
    hosts('node2', [balancer.address], lines),
  ]);
  // Everything follows the first; the second is there for whoever needs it.
  await pair.b.start();
}
async function closeAll(): Promise<void> {
  await Promise.all([listed, balanced].map((one) => one.close()));
  await Promise.all([toA, toB, balancer].map((one) => one.close()));
  await pair.close();
}

const expectSession = async (cluster: Cluster): Promise<void> => {
  const ran = await cluster.tsh('joe', ['ssh', `${login}@node1`, 'echo here']);
  expect(ran).toMatchObject({ stdout: 'here\n', stderr: '' });
};

/** How often its proxy and its node have found an auth server to follow: three streams. */
const follows = (cluster: Cluster): number =>
  cluster.output().match(/follows the log at the auth server/g)?.length ?? 0;
const streams = 3;

/** Milliseconds until every stream of both is followed again, and readyz is well. */
async function timeToFollow(act: () => Promise<void>): Promise<number> {
  const clusters = [listed, balanced];
  const before = clusters.map(follows);
  const began = performance.now();
  await act();
  await Promise.all(
    clusters.map((cluster, i) =>
      until('all to follow', async () =>
        follows(cluster) >= (before[i] ?? 0) + streams && (await cluster.readyz('strict'))?.code === 200
          ? true
          : undefined,
      ),
    ),
  );
  return performance.now() - began;
}

describe.each(storeKinds)('with the log on %s', (kind) => {
  beforeAll(() => startAll(stores.emptyLog(kind)));
  afterAll(closeAll);

  describe('proxies and nodes whose auth server is killed', () => {
    it(`follow the other within ${limitMs} ms, by list and behind one address, and read nothing again`, async () => {
      const state = toA.received();
      const before = { listed: toB.received(), balanced: balancer.received() };
      const ms = await timeToFollow(() => pair.a.stop('SIGKILL'));
      const again = [toB.received() - before.listed, balancer.received() - before.balanced];
      console.log(
        `${kind}: ${Math.round(ms)} ms; the start took ${state} bytes, going on took ${again.join(' and ')} of handshakes and news`,
      );
      expect(ms).toBeLessThan(limitMs);
      // Snapshots travel compressed: as text they are ten times as long.
      expect(state).toBeGreaterThan(100_000);
      for (const bytes of again) expect(bytes).toBeLessThan(state / 3);
    });

    it('know at once what is written through the other', async () => {
      const through = (cluster: Cluster): PeopleCluster => ({
        ...cluster,
        tctl: (...args) => pair.b.tctl(...args),
      });
      await createFirstUser(through(listed), 'joe', { logins: [login] });
      await logIn(balanced, 'joe');
      for (const cluster of [listed, balanced]) await expectSession(cluster);
    });
  });

  describe('tctl', () => {
    it.each(['dead', 'mute'] as const)(
      `answers within ${limitMs} ms when the first auth server is %s`,
      async (how) => {
        pair.a.configure({ teleport: `  auth_servers: ["${pair.a.address}", "${pair.b.address}"]` });
        if (how === 'mute') await pair.a.start();
        if (how === 'mute') pair.a.signal('SIGSTOP');
        const began = performance.now();
        expect(await pair.a.must('users', 'ls')).toContain('user1999');
        const ms = performance.now() - began;
        if (how === 'mute') pair.a.signal('SIGCONT');
        console.log(`${kind}: tctl with its own auth server ${how}: ${Math.round(ms)} ms`);
        expect(ms).toBeLessThan(limitMs);
      },
    );
  });

  describe('when all auth servers are away', () => {
    it('they are asked ever more rarely, not all at once, and found again when one is back', async () => {
      await Promise.all([pair.a.stop('SIGKILL'), pair.b.stop('SIGKILL')]);
      const observedMs = 6_000;
      const relays = [toA, balancer];
      const before = relays.map(({ dialled }) => dialled.length);
      const began = performance.now();
      await until('the time to be over', () => performance.now() - began > observedMs || undefined);
      for (const [i, { dialled }] of relays.entries()) {
        const attempts = dialled.slice(before[i]);
        const half = attempts.filter((at) => at < (attempts[0] ?? 0) + observedMs / 3).length;
        console.log(`${attempts.length} attempts in ${observedMs} ms, ${half} of them in the first third`);
        // Three streams, two heartbeats and an outbox; each without a pause would be hundreds.
        expect(attempts.length).toBeLessThan(60);
        expect(half).toBeGreaterThan(attempts.length / 3);
        expect(new Set(attempts.map((at) => Math.round(at / 20))).size).toBeGreaterThan(attempts.length / 3);
      }
      for (const cluster of [listed, balanced]) {
        const body = expect.stringContaining('auth is away') as string;
        expect(await cluster.readyz()).toMatchObject({ code: 200, body });
        expect(await cluster.readyz('strict')).toMatchObject({ code: 503, body });
      }
      await expectSession(listed);
      const ms = await timeToFollow(() => pair.b.start());
      console.log(`${kind}: ${Math.round(ms)} ms from the start of an auth server until all follow it`);
      expect(ms).toBeLessThan(15_000);
    });
  });
});
