/*
 * How long it takes to ask what was true at an earlier position of a long log, with milestones (RFD 40) and
 * without, on a directory store. `node integration/bench/past.ts [events]`
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { openDirectoryDriver } from '../../backends/dir/open.ts';
import { noPast, pastAfter, pastProjections, pastViewNames } from '../../src/auth/past/past-states.ts';
import { PastFolds } from '../../src/auth/past/past-folds.ts';
import { noDeadline } from '../../src/base/deadline.ts';
import { silentLog } from '../../src/base/log-sink.ts';
import { realWorld } from '../../src/base/world.ts';
import { hostStream, roleStream, userStream } from '../../src/domain/streams.ts';
import { adminRole } from '../../src/domain/preset-roles.ts';
import type { ClusterLog, ViewState, Write } from '../../src/log/event-log.ts';
import type { Fact, StreamName } from '../../src/log/event.ts';
import { sharedTestKeyring } from '../../src/log/keyring.ts';
import { milestonesFolder } from '../../src/log/milestones.ts';
import { openLog } from '../../src/log/open-log.ts';
import { entriesOf } from '../../src/views/table.ts';

const events = Number(process.argv[2] ?? 1_000_000);
const [users, hosts, roles] = [5_000, 5_000, 200];
const factsInAppend = 400;
const snapshotEvery = 10_000;

const idOf = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const addresses = { remote: '192.0.2.7:3022', local: '192.0.2.1:3025' };

/** A cluster that comes to be, then mostly logins, and now and then another change. */
function happening(n: number): readonly [StreamName, Fact] {
  if (n < roles) return [roleStream(`r${n}`), { type: 'role.created', data: { role: roleAs(n, 0) } }];
  if (n < roles + users) {
    const username = `u${n - roles}`;
    const data = { username, roles: [`r${n % roles}`], traits: { logins: [username] } };
    return [userStream(username), { type: 'user.created', data }];
  }
  if (n < roles + users + hosts) {
    const data = { host: hostAs(n - roles - users, 0) };
    return [hostStream(idOf(n - roles - users)), { type: 'host.joined', data }];
  }
  const i = Math.imul(n, 0x9e3779b1) >>> 8;
  if (n % 50 === 0)
    return [roleStream(`r${i % roles}`), { type: 'role.updated', data: { role: roleAs(i % roles, n) } }];
  if (n % 10 === 0)
    return [hostStream(idOf(i % hosts)), { type: 'host.changed', data: { host: hostAs(i % hosts, n) } }];
  const certificate = { roles: ['r1'], logins: ['root'], ttlSeconds: 3_600, serial: String(n) };
  const data = { method: 'local', otp: { status: 'matched', step: n }, addresses, certificate };
  return [userStream(`u${i % users}`), { type: 'user.logged_in', data }];
}

const roleAs = (n: number, version: number): object => ({
  ...adminRole,
  name: `r${n}`,
  allow: { ...adminRole.allow, logins: ['root', `v${version}`], nodeLabels: { env: [`e${n % 10}`] } },
});
const hostAs = (n: number, version: number): object => ({
  ...{ hostId: idOf(n), role: 'Node', nodename: `node-${n}`, address: '192.0.2.7:3022' },
  ...{ publicAddress: '', sshPublicAddress: '', version: `1.0.${version}`, labels: { env: `e${n % 10}` } },
});

async function open(path: string): Promise<ClusterLog> {
  const driver = await openDirectoryDriver({ path });
  return openLog({ driver, keyring: sharedTestKeyring, world: realWorld, writer: 'bench', sink: silentLog });
}

async function fill(path: string): Promise<void> {
  const log = await open(path);
  const revisions = new Map<StreamName, number>();
  let states = noPast;
  let folded = 0;
  for (let n = 0; n < events; n += factsInAppend) {
    const writes = new Map<StreamName, { expected: number; facts: Fact[] }>();
    for (let i = n; i < Math.min(events, n + factsInAppend); i++) {
      const [stream, fact] = happening(i);
      const write = writes.get(stream) ?? { expected: revisions.get(stream) ?? 0, facts: [] };
      write.facts.push(fact);
      writes.set(stream, write);
      revisions.set(stream, write.expected + write.facts.length);
    }
    const cause = { at: realWorld.now(), actor: 'user:bench', requestId: realWorld.uuid() };
    const all = [...writes].map(([stream, one]): Write => ({ stream, ...one }));
    const head = await log.state.append(all, cause);
    if (head - folded < snapshotEvery) continue;
    for await (const event of log.state.history(folded)) states = pastAfter(states, event);
    folded = head;
    const views = Object.entries(pastProjections).map(([key, projection]): ViewState => ({
      name: projection.name,
      position: head,
      state: projection.encode(states[key as keyof typeof states] as never),
    }));
    await log.takeSnapshot('state', views, { trim: false, milestones: pastViewNames }, cause);
  }
  await log.close();
}

/** One question to a process that was asked none before. */
async function ask(log: ClusterLog, position: number, withMilestones: boolean): Promise<void> {
  const { state } = log;
  const without = {
    history: (after: number) => state.history(after),
    holds: (at: number, id: string) => state.holds(at, id),
    milestone: () => Promise.resolve(undefined),
    snapshot: () => Promise.resolve(undefined),
  };
  const past = new PastFolds({ log: withMilestones ? state : without });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const [began, cpu] = [performance.now(), process.cpuUsage()];
  const { users: known } = await past.at(position, noDeadline);
  const seconds = (performance.now() - began) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  delay.disable();
  console.log(
    `position ${position} ${withMilestones ? 'with' : 'without'} milestones: ${seconds.toFixed(2)} s (${((user + system) / 1e6).toFixed(2)} s of CPU), longest turn ${(delay.max / 1e6).toFixed(0)} ms, p99 ${(delay.percentile(99) / 1e6).toFixed(0)} ms (${entriesOf(known.known).length} users)`,
  );
}

const path = await mkdtemp(join(tmpdir(), 'past-bench-'));
try {
  const began = performance.now();
  await fill(path);
  console.log(`${events} events written in ${((performance.now() - began) / 1_000).toFixed(0)} s`);
  const driver = await openDirectoryDriver({ path });
  const kept = await driver.snapshots.list(milestonesFolder('state'));
  let bytes = 0;
  for (const key of kept) bytes += (await driver.snapshots.get(key))?.length ?? 0;
  await driver.close();
  console.log(`${kept.length} milestones, ${(bytes / 1_048_576).toFixed(1)} MiB`);
  const log = await open(path);
  for (const part of [0.02, 0.25, 0.51, 0.77, 0.999]) await ask(log, Math.floor(events * part), true);
  await ask(log, Math.floor(events * 0.51), false);
  await log.close();
} finally {
  await rm(path, { recursive: true, force: true });
}
