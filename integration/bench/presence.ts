/*
 * Many nodes at two auth servers: `make bench-presence`, or with arguments: nodes, minutes, names of stores.
 * Prints what heartbeats cost the store, what they cost the auth servers, and what a person notices of it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { hostPresence } from '../../src/api/announce-host.ts';
import { startLightProxy } from '../simulator/light-proxy.ts';
import { forkSwarm, type RemoteSwarm } from '../simulator/remote-swarm.ts';
import { type AuthDaemon, type AuthDaemons, startAuthDaemons } from '../simulator/auth-daemons.ts';
import { sharedStore, type Storage } from '../simulator/shared-store.ts';
import { simulateHour } from '../simulator/simulated-hour.ts';
import { until } from '../harness/run-program.ts';
import { engineFor } from './engines.ts';
import { cpuSeconds, memoryMiB, percentile } from './measure.ts';
import { type Logins, prepareLogins } from './presence-logins.ts';
import { rotateAuthorities, type RotationStage } from './rotation.ts';

export interface ScaleOptions {
  readonly nodes: number;
  /** How long the nodes are watched once all are there. */
  readonly minutes: number;
  /** The nodes are spread over so many processes. */
  readonly processes: number;
  /** The `storage:` mapping; default: a directory. */
  readonly storage?: Storage;
}

const row = (what: string, text: string): void => {
  console.log(`${what.padEnd(40)} ${text}`);
};
const seconds = (from: number): number => (performance.now() - from) / 1000;
const p50p99 = (ms: readonly number[]): string =>
  `p50 ${percentile(ms, 50).toFixed(0)} ms  p99 ${percentile(ms, 99).toFixed(0)} ms`;

/** Prints the figures of one store. */
export async function printScaleFigures(options: ScaleOptions): Promise<void> {
  const { nodes, storage } = options;
  row('store', `${storage?.type ?? 'dir'}; ${nodes} nodes, 2 auth servers, ${cpus().length} cores for all`);
  await hourFigures(nodes, storage);
  await liveFigures(options);
}

async function hourFigures(nodes: number, storage: Storage | undefined): Promise<void> {
  const store = sharedStore(storage && forHour(storage));
  try {
    const hour = await simulateHour({ store, nodes, minutes: 60, auths: 2 });
    const largest = Math.max(...hour.sizes.map(({ slotBytes, snapshotBytes }) => slotBytes + snapshotBytes));
    const last = hour.sizes.at(-1);
    row(
      'an hour of simulated time',
      `${hour.heartbeats} heartbeats, ${hour.alive.join(' and ')} alive at the end, ${hour.snapshots} snapshots`,
    );
    row(
      '  appended in that hour',
      `${hour.appends} appends (${(hour.appends / 3600).toFixed(2)}/s)  ${(hour.bytes / 1e6).toFixed(1)} MB (${(hour.bytes / 3600 / 1000).toFixed(1)} kB/s)  ${(hour.bytes / hour.heartbeats).toFixed(0)} B a heartbeat  largest fact ${hour.largestFactBytes} B`,
    );
    if (hour.writeUnits > 0)
      row(
        '  units consumed in that hour',
        `${hour.writeUnits.toFixed(0)} written (${(hour.writeUnits / 3600).toFixed(1)}/s)  ${hour.readUnits.toFixed(0)} read (${(hour.readUnits / 3600).toFixed(1)}/s)`,
      );
    row(
      '  presence in the store',
      `at most ${(largest / 1e6).toFixed(1)} MB, in the end ${(((last?.slotBytes ?? 0) + (last?.snapshotBytes ?? 0)) / 1e6).toFixed(1)} MB  ratio to what was appended ${(largest / hour.bytes).toFixed(2)}`,
    );
  } finally {
    await store.close();
  }
}

/** A place of its own in the same store. */
function forHour(storage: Storage): Storage {
  const suffixed = (key: string): Record<string, string> =>
    typeof storage[key] === 'string' ? { [key]: `${storage[key]}-hour` } : {};
  return { ...storage, ...suffixed('path'), ...suffixed('prefix'), ...suffixed('table_name') };
}

async function liveFigures(options: ScaleOptions): Promise<void> {
  const daemons = startAuthDaemons(options.storage);
  const swarm = forkSwarm(options.processes);
  try {
    await live(options, daemons, swarm);
  } finally {
    await swarm.close();
    await daemons.close();
  }
}

async function live(
  { nodes, minutes }: ScaleOptions,
  daemons: AuthDaemons,
  swarm: RemoteSwarm,
): Promise<void> {
  const auths: AuthDaemon[] = [await daemons.add(), await daemons.add()];
  const servers = auths.map(({ address }) => address);
  const admin = await daemons.client('Admin', servers);
  const folder = mkdtempSync(join(tmpdir(), 'proxy-'));
  const proxy = await startLightProxy(servers, await daemons.authority(), folder);
  const logins = await prepareLogins(admin, proxy.auth);
  const emptyLogins = await during(logins, 10_000);
  const emptyOpen = await openOneMore(daemons);
  const memoryBefore = memoryMiB(auths.map(({ pid }) => pid));

  await startNodes(nodes, { daemons, auths, swarm });
  const watched = await watch(auths, swarm, logins, minutes * 60_000);
  row(
    'login, one after the other',
    `${p50p99(watched.logins)}  with no nodes ${p50p99(emptyLogins)}  ratio of p99 ${(percentile(watched.logins, 99) / percentile(emptyLogins, 99)).toFixed(2)}`,
  );
  const fullOpen = await openOneMore(daemons);
  row(
    'one more auth server, to ready',
    `${fullOpen.toFixed(1)} s  with no nodes ${emptyOpen.toFixed(1)} s  ratio ${(fullOpen / emptyOpen).toFixed(2)}`,
  );
  const memory = memoryMiB(auths.map(({ pid }) => pid));
  row(
    'memory of both auth servers',
    `${memory.toFixed(0)} MiB  with no nodes ${memoryBefore.toFixed(0)} MiB  ${(((memory - memoryBefore) * 1024) / nodes).toFixed(0)} KiB a node`,
  );
  await rotate({ daemons, auths, logins }, swarm, watched.logins);
  await loseOne(auths, swarm, logins);
  admin.close();
  await proxy.stop();
  rmSync(folder, { recursive: true });
}

/** @param calm what logins took with the same nodes before. */
async function rotate(stage: RotationStage, swarm: RemoteSwarm, calm: readonly number[]): Promise<void> {
  for (const { phase, seconds: took, cpuSeconds: cpu, logins, failed } of await rotateAuthorities(stage))
    row(
      `rotation, ${phase}`,
      `all acknowledged after ${took.toFixed(1)} s  CPU of both auth servers ${cpu.toFixed(1)} s  logins ${logins.length} ${p50p99(logins)}, ${failed} failed  ratio of p99 ${(percentile(logins, 99) / percentile(calm, 99)).toFixed(2)}`,
    );
  const { inTrouble, troubles, refusedHeartbeats } = await swarm.report();
  row(
    '  nodes after it',
    `in trouble ${inTrouble} ${troubles.map(([text]) => text).join('; ')}  refused heartbeats ${refusedHeartbeats}`,
  );
}

const during = (logins: Logins, ms: number): Promise<number[]> => {
  const end = performance.now() + ms;
  return logins.during(() => performance.now() > end);
};

/** Seconds from the start of the program to being ready. */
async function openOneMore(daemons: AuthDaemons): Promise<number> {
  const one = await daemons.add();
  await one.machine.stop();
  return one.openedInMs / 1000;
}

const cpuOf = (auths: readonly AuthDaemon[]): number =>
  auths.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);

interface Stage {
  readonly daemons: AuthDaemons;
  readonly auths: readonly AuthDaemon[];
  readonly swarm: RemoteSwarm;
}

async function startNodes(nodes: number, { daemons, auths, swarm }: Stage): Promise<void> {
  const began = performance.now();
  const cpu = cpuOf(auths);
  await swarm.start({
    count: nodes,
    atOnce: 64,
    overMs: 0,
    servers: auths.map(({ address }) => address),
    authority: await daemons.authority(),
    pace: hostPresence,
  });
  const took = seconds(began);
  row(
    'nodes that start, 64 at a time',
    `${nodes} in ${took.toFixed(0)} s (${(nodes / took).toFixed(0)}/s)  ${(((cpuOf(auths) - cpu) * 1000) / nodes).toFixed(1)} ms CPU of auth a node`,
  );
}

async function watch(
  auths: readonly AuthDaemon[],
  swarm: RemoteSwarm,
  logins: Logins,
  ms: number,
): Promise<{ readonly logins: readonly number[] }> {
  const totals = async (name: string): Promise<number> => {
    const each = await Promise.all(auths.map((auth) => auth.metric(`${name}{partition="presence"}`)));
    return each.reduce((a, b) => a + b, 0);
  };
  await swarm.report();
  const [began, cpu] = [performance.now(), cpuOf(auths)];
  const [appends, bytes] = [await totals('log_appends'), await totals('log_bytes')];
  const took = await during(logins, ms);
  const report = await swarm.report();
  const time = seconds(began);
  const spent = cpuOf(auths) - cpu;
  row(
    'heartbeats',
    `${(report.heartbeatMs.length / time).toFixed(0)}/s  ${p50p99(report.heartbeatMs)}  refused ${report.refusedHeartbeats}  nodes in trouble ${report.inTrouble} ${report.troubles.map(([text]) => text).join('; ')}`,
  );
  row(
    'appends to presence',
    `${(((await totals('log_appends')) - appends) / time).toFixed(2)}/s  ${(((await totals('log_bytes')) - bytes) / time / 1000).toFixed(1)} kB/s`,
  );
  row(
    'CPU of both auth servers',
    `${((spent / time) * 100).toFixed(0)} % of a core (${took.length} logins among it, ${logins.failed()} failed)`,
  );
  return { logins: took };
}

/** Half of the nodes lose their auth server at the same moment. */
async function loseOne(auths: readonly AuthDaemon[], swarm: RemoteSwarm, logins: Logins): Promise<void> {
  const [survivor, lost] = auths;
  if (!survivor || !lost) throw new Error('there are not two auth servers');
  await swarm.report();
  const [began, cpu] = [performance.now(), cpuOf([survivor])];
  await lost.machine.stop('SIGKILL');
  let most = 0;
  let back = false;
  const trying = logins.during(() => back);
  await until(
    'all nodes to follow the other auth server',
    async () => {
      const { inTrouble } = await swarm.report();
      most = Math.max(most, inTrouble);
      return most > 0 && inTrouble === 0 ? true : undefined;
    },
    300_000,
  );
  back = true;
  const took = seconds(began);
  row(
    'an auth server is killed',
    `${most} nodes seen without, all back after ${took.toFixed(1)} s  ${(((cpuOf([survivor]) - cpu) * 1000) / Math.max(1, most)).toFixed(1)} ms CPU of the other a node  logins meanwhile ${p50p99(await trying)}, ${logins.failed()} failed`,
  );
}

if (import.meta.main) {
  const [nodes = '10000', minutes = '3', ...stores] = process.argv.slice(2);
  for (const store of stores.length > 0 ? stores : ['dir', 'etcd', 'dynamodb']) {
    const { storage, close } = await engineFor(store);
    try {
      await printScaleFigures({
        nodes: Number(nodes),
        minutes: Number(minutes),
        processes: Math.ceil(Number(nodes) / 2_500),
        ...(storage && { storage }),
      });
    } finally {
      await close();
    }
  }
}
