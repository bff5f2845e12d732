import { randomUUID } from 'node:crypto';
import { hostPresence } from '../../src/api/announce-host.ts';
import { recordingMetrics } from '../../src/api/testing.ts';
import type { Caller } from '../../src/api/operation.ts';
import type { Call } from '../../src/api/server-deps.ts';
import { buildDeps } from '../../src/auth/build-deps.ts';
import { type Compaction, startCompaction } from '../../src/auth/log/compaction.ts';
import type { AuthDeps } from '../../src/auth/deps.ts';
import { heartbeat } from '../../src/auth/host/heartbeat.ts';
import { noDeadline } from '../../src/base/deadline.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { minute, second } from '../../src/base/time.ts';
import { realWorld, type World } from '../../src/base/world.ts';
import type { HostRecord } from '../../src/domain/host-info.ts';
import type { ClusterLog, PartitionStats } from '../../src/log/event-log.ts';
import { decodeBatch } from '../../src/log/batch.ts';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import { presenceOf } from '../../src/views/presence.ts';
import type { SharedStore } from './shared-store.ts';

export interface HourOptions {
  readonly store: SharedStore;
  readonly nodes: number;
  readonly minutes: number;
  readonly auths: number;
  /** Whether a label that each node measures has another value in each heartbeat. Default: there is none. */
  readonly measures?: boolean;
}

/** What the store holds of the presence partition at a moment. */
export interface PresenceSize {
  readonly minute: number;
  readonly slots: number;
  readonly slotBytes: number;
  readonly snapshotBytes: number;
}

export interface HourFigures {
  readonly heartbeats: number;
  /** After all nodes had joined, by all auth servers together. */
  readonly appends: number;
  readonly batches: number;
  readonly facts: number;
  readonly bytes: number;
  readonly snapshots: number;
  /** As the store counts them, where it does; with what everybody reads of it and the snapshots. */
  readonly writeUnits: number;
  readonly readUnits: number;
  readonly largestFactBytes: number;
  /** Every five minutes. */
  readonly sizes: readonly PresenceSize[];
  /** Nodes that each auth server knows alive in the end. */
  readonly alive: readonly number[];
  readonly realSeconds: number;
  /** Of this process, with both sides of each heartbeat, after all nodes had joined. */
  readonly cpuSeconds: number;
  /** Appended to `state` after all nodes had joined. */
  readonly stateBytes: number;
}

/** An auth server with a clock of ours. */
export interface Simulated {
  readonly log: ClusterLog;
  readonly deps: AuthDeps;
  readonly compaction: Compaction;
  /** Of presence, taken by this server. */
  readonly snapshots: () => number;
  readonly close: () => Promise<void>;
}

/**
 * Heartbeats of so long become one fact, and compaction is looked after so often: as in a running auth
 * server.
 */
const flushMs = 3 * second;
const compactMs = 15 * second;

/**
 * A minute's heartbeats of each node, for many minutes, with the use cases, the log and the store of the real
 * thing; only the clock is ours, and nothing travels over sockets.
 */
export async function simulateHour({
  store,
  nodes,
  minutes,
  auths,
  measures = false,
}: HourOptions): Promise<HourFigures> {
  const began = performance.now();
  let now = Date.now();
  const start = now;
  const world: World = { ...realWorld, now: () => new Date(now).toISOString(), monotonic: () => now };
  const servers: Simulated[] = [];
  for (let i = 0; i < auths; i++) servers.push(await startServer(store, world));
  const driver = await store.driver();
  const sizes: PresenceSize[] = [];
  try {
    const hosts = Array.from({ length: nodes }, (_, i) => hostNumber(i, measures));
    let beats = 0;
    const measured = (host: HostRecord): HostRecord =>
      measures ? { ...host, labels: { ...host.labels, load: String(beats++) } } : host;
    // Each keeps to its server, as a host does while that one answers.
    const speakers = hosts.map((host, i) => () => beatAt(servers[i % auths] ?? fail(), measured(host)));
    for (let from = 0; from < nodes; from += 500)
      await Promise.all(speakers.slice(from, from + 500).map((speak) => speak()));
    // A snapshot of what has joined is no part of the hour.
    for (const { compaction } of servers) await compaction.run();
    const before = countedBy(servers);
    const stateBefore = stateBytesOf(servers);
    const cpuBefore = process.cpuUsage();
    let heartbeats = 0;
    for (; now < start + minutes * minute; now += second) {
      const elapsed = now - start;
      const due = speakers.filter((_, i) => i % 60 === (elapsed / second) % 60);
      await Promise.all(due.map((speak) => speak()));
      heartbeats += due.length;
      if (elapsed % flushMs === 0) await Promise.all(servers.map(({ deps }) => deps.presence.flush()));
      if (elapsed % compactMs === 0) await Promise.all(servers.map(({ compaction }) => compaction.run()));
      if (elapsed % (5 * minute) === 0) sizes.push(await sizeOf(driver, elapsed / minute));
    }
    const cpu = process.cpuUsage(cpuBefore);
    sizes.push(await sizeOf(driver, minutes));
    const head = (await servers[0]?.log.presence.head()) ?? 0;
    await Promise.all(servers.map(({ deps }) => deps.views.presence.reached(head)));
    return {
      heartbeats,
      ...difference(before, countedBy(servers)),
      snapshots: servers.reduce((sum, one) => sum + one.snapshots(), 0),
      largestFactBytes: await largestFact(driver),
      sizes,
      alive: servers.map((one) => countAlive(one, hosts)),
      realSeconds: (performance.now() - began) / 1000,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      stateBytes: stateBytesOf(servers) - stateBefore,
    };
  } finally {
    await driver.close();
    for (const server of servers) await server.close();
  }
}

const fail = (): never => {
  throw new Error('there is no auth server');
};

const stateBytesOf = (servers: readonly Simulated[]): number =>
  servers.reduce((all, { log }) => all + log.stats().state.bytes, 0);

export async function startServer(store: SharedStore, world: World): Promise<Simulated> {
  const hostId = randomUUID();
  const log = await store.log(hostId);
  const metrics = recordingMetrics();
  const parts = { log, world, sink: silentLog, metrics, hostId };
  const { deps, close } = await buildDeps({
    ...parts,
    clusterName: 'example',
    nodename: hostId,
    secondFactor: 'off',
    ageing: () => Date.parse(world.now()),
  });
  const compaction = startCompaction({
    ...parts,
    views: deps.views,
    tellAttempts: () => deps.attemptsTeller.tellBeforeTrim(),
  });
  return {
    log,
    deps,
    compaction,
    snapshots: () =>
      metrics.counters.get('log_snapshots_total{"partition":"presence","outcome":"taken"}') ?? 0,
    close: async () => {
      await compaction.close();
      await close();
    },
  };
}

const hostNumber = (n: number, measures: boolean): HostRecord => ({
  hostId: randomUUID(),
  role: 'Node',
  nodename: `node-${n}`,
  address: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}:3022`,
  publicAddress: '',
  sshPublicAddress: '',
  labels: { env: 'simulated' },
  version: '4.5.0',
  ...(measures && { measured: ['load'] }),
});

function beatAt({ deps }: Simulated, host: HostRecord): Promise<unknown> {
  const { hostId, role, address } = host;
  const caller: Caller = { kind: 'host', hostId, role, address };
  const call: Call = { caller, requestId: deps.world.uuid(), deadline: noDeadline };
  return heartbeat(deps, call, { host, ttlSeconds: hostPresence.ttlSeconds });
}

const counted = ['appends', 'batches', 'facts', 'bytes', 'writeUnits', 'readUnits'] as const;
type Counted = Pick<HourFigures, (typeof counted)[number]>;

function countedBy(servers: readonly Simulated[]): Counted {
  const stats = servers.map(({ log }) => log.stats().presence);
  const sum = (of: (one: PartitionStats) => number): number => stats.reduce((all, one) => all + of(one), 0);
  const ofStore = (figure: string): number =>
    servers.reduce((all, { log }) => all + (log.store().figures[figure] ?? 0), 0);
  return {
    appends: sum((one) => one.appends),
    batches: sum((one) => one.batches),
    facts: sum((one) => one.events),
    bytes: sum((one) => one.bytes),
    writeUnits: ofStore('consumed_write_units'),
    readUnits: ofStore('consumed_read_units'),
  };
}

const difference = (from: Counted, to: Counted): Counted => {
  const moved = (name: keyof Counted): number => to[name] - from[name];
  return Object.fromEntries(counted.map((name) => [name, moved(name)])) as unknown as Counted;
};

async function sizeOf(driver: SlotDriver, minute: number): Promise<PresenceSize> {
  let [slots, slotBytes, snapshotBytes] = [0, 0, 0];
  for await (const { batch } of driver.read('presence', 1)) {
    slots++;
    slotBytes += batch.length;
  }
  for (const key of await driver.snapshots.list('presence'))
    snapshotBytes += (await driver.snapshots.get(key))?.length ?? 0;
  return { minute, slots, slotBytes, snapshotBytes };
}

/** Of those that are still there: a fact may have 64 KB. */
async function largestFact(driver: SlotDriver): Promise<number> {
  let largest = 0;
  for await (const stored of driver.read('presence', 1))
    for (const { fact } of decodeBatch(stored.batch).events)
      largest = Math.max(largest, JSON.stringify(fact).length);
  return largest;
}

const countAlive = ({ deps }: Simulated, hosts: readonly HostRecord[]): number =>
  hosts.filter(
    (host) => presenceOf(deps.views.presence.state(), host, deps.views.clock.monotonic()).status === 'alive',
  ).length;
