import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openEtcdDriver } from '../../../backends/etcd/open.ts';
import { silentLog } from '../../../src/base/log-sink.ts';
import { realWorld } from '../../../src/base/world.ts';
import { noKeyring } from '../../../src/log/keyring.ts';
import { openLog } from '../../../src/log/open-log.ts';
import { until } from '../../harness/run-program.ts';
import { type EtcdCluster, etcdctl, leaderOf } from '../../harness/etcd-server.ts';
import type { AuthProcess } from './auth-process.ts';
import { seatOf } from './faults.ts';
import type { RestorePlan } from './schedule.ts';
import type { Seat, Stand } from './stand.ts';

const patienceMs = 60_000;

export interface Saved {
  readonly path: string;
  readonly at: number;
}

/** A snapshot of etcd, as an operator takes one. */
export async function save({ cluster, directory, restores }: Stand): Promise<Saved> {
  const path = join(directory, `snapshot-${restores.length}.db`);
  const at = performance.now();
  const url = cluster.urls[await leaderOf(cluster)] ?? '';
  await etcdctl({ urls: [url] }, `snapshot save ${path}`);
  return { path, at };
}

/** Who goes through it in which way. */
interface Cast {
  readonly killed: Seat | undefined;
  readonly asleep: Seat | undefined;
  /** The others in the order in which they are recovered. */
  readonly order: readonly Seat[];
}

function castOf(stand: Stand, { killed, asleep, order }: RestorePlan): Cast {
  return {
    killed: killed === undefined ? undefined : seatOf(stand, killed),
    asleep: asleep === undefined ? undefined : seatOf(stand, asleep),
    order: order.filter((index) => index !== asleep).map((index) => seatOf(stand, index)),
  };
}

/**
 * Puts the store back under auth servers that run, sees to it that whoever knew more refuses, and recovers
 * the log, as an operator does: each auth server in turn gives back what it knows.
 */
export async function putBack(stand: Stand, { path, at }: Saved, plan: RestorePlan): Promise<void> {
  const cast = castOf(stand, plan);
  if (plan.behind !== undefined) {
    for (const link of seatOf(stand, plan.behind).links) link.suffer('cut');
    await delay(plan.behindMs);
  }
  cast.asleep?.auth.signal('SIGSTOP');
  const began = performance.now();
  const knowing = await restore(stand, path, cast);
  const silent: string[] = [];
  for (const auth of knowing) if (!(await refuses(auth))) silent.push(auth.name);
  await delay(plan.goesOnMs);
  if (plan.together) await Promise.all(cast.order.map(recover));
  else for (const seat of cast.order) await recover(seat);
  cast.asleep?.auth.signal('SIGCONT');
  if (cast.asleep) await recover(cast.asleep);
  stand.restores.push({
    savedAt: at,
    began,
    ended: performance.now(),
    survivors: stand.auths.filter((one) => !one.ended()).map(({ name }) => name),
    silent,
  });
  for (const { auth } of stand.seats)
    await until(`${auth.name} to decide again`, () => answered(auth), patienceMs);
}

/** Answers who knew more than the store holds now. */
async function restore(stand: Stand, path: string, { killed, order }: Cast): Promise<AuthProcess[]> {
  const { cluster, seats } = stand;
  await Promise.all([...cluster.members.map((one) => one.kill()), killed?.auth.kill()]);
  const links = seats.flatMap((seat) => seat.links);
  for (const link of links) link.suffer('cut');
  const known: [AuthProcess, number][] = [];
  for (const { auth } of order.filter((seat) => seat !== killed))
    known.push([auth, (await auth.must<{ position: number }>({ kind: 'known' })).position]);
  await Promise.all(cluster.members.map((one) => one.restore(path)));
  const head = await headIn(cluster);
  for (const link of links) link.heal();
  if (killed) await stand.start(killed);
  return known.filter(([, position]) => position > head).map(([auth]) => auth);
}

const answered = async (auth: AuthProcess): Promise<true | undefined> =>
  (await auth.ask({ kind: 'head' })).status === 'answered' || undefined;

/** The newest event of state that the store holds. */
async function headIn({ urls }: EtcdCluster): Promise<number> {
  const options = { peers: urls, prefix: 'trial', insecure: false, dialTimeoutMs: patienceMs };
  const driver = await openEtcdDriver(options, { sink: silentLog, world: realWorld, reading: true });
  const log = await openLog({
    driver,
    keyring: noKeyring,
    world: realWorld,
    writer: 'trial',
    sink: silentLog,
  });
  try {
    return await log.state.head();
  } finally {
    await log.close();
  }
}

/** Whether it says that the store went back, as soon as it can reach it. */
function refuses(auth: AuthProcess): Promise<boolean> {
  return until(
    `${auth.name} to see the store again`,
    async () => {
      const reply = await auth.ask({ kind: 'head' });
      if (reply.status !== 'refused') return false;
      return reply.message.includes('the store went back') || undefined;
    },
    patienceMs,
  );
}

/** What is refused for now can be tried again. */
async function recover({ auth }: Seat): Promise<void> {
  let last = '';
  await until(
    `${auth.name} to recover`,
    async () => {
      const reply = await auth.ask({ kind: 'recover' });
      if (reply.status === 'answered') return true;
      last = reply.status === 'refused' ? `${reply.code}: ${reply.message}` : 'it ended';
      if (reply.status === 'silent' || reply.code === 'bug')
        throw new Error(`recover of ${auth.name}: ${last}`);
      return undefined;
    },
    patienceMs,
  ).catch((e: unknown) => {
    throw new Error(`${auth.name} was not recovered: ${last}`, { cause: e });
  });
}
