import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEtcdDriver } from '../../../backends/etcd/open.ts';
import { silentLog } from '../../../src/base/log-sink.ts';
import { realWorld } from '../../../src/base/world.ts';
import { verifyLog } from '../../../src/log/verify.ts';
import { until } from '../../harness/run-program.ts';
import { violations } from './checker.ts';
import { perform, startClients } from './clients.ts';
import { happen } from './faults.ts';
import { type History, writesOf } from './history.ts';
import type { Everything } from './question.ts';
import { type Random, randomOf } from './random.ts';
import { putBack, save } from './restore.ts';
import { restorePlanOf, scheduleOf } from './schedule.ts';
import { openStand, type Stand } from './stand.ts';

const clientsEach = 3;
const patienceMs = 60_000;

export interface Told {
  readonly violations: readonly string[];
  /** What happened, for a reader of the test's output. */
  readonly summary: string;
}

/** One trial: faults and operations follow from the seed, their timing from the machine. */
export async function runTrial(seed: number): Promise<Told> {
  const random = randomOf(seed);
  const stand = await openStand();
  try {
    const clients = startClients(stand, clientsEach, () => randomOf(random.below(2 ** 31)));
    try {
      await suffer(stand, random);
    } finally {
      await clients.stop();
    }
    const crashes = stand.auths.flatMap((one) => one.crash() ?? []);
    if (crashes.length > 0) return { violations: crashes, summary: 'ended early' };
    const history = await historyOf(stand);
    const found = [...violations(history), ...(await damageOf(stand))];
    return {
      violations: found,
      summary: found.length === 0 ? summaryOf(history) : `${summaryOf(history)}; ${kept(history, seed)}`,
    };
  } finally {
    await stand.close();
  }
}

async function suffer(stand: Stand, random: Random): Promise<void> {
  await happen(stand, scheduleOf(random, 8));
  const saved = await save(stand);
  await happen(stand, scheduleOf(random, 3));
  await putBack(stand, saved, restorePlanOf(random));
  const last = scheduleOf(random, 7);
  const quota = { kind: 'quota', afterMs: 0, lastsMs: random.between(500, 1_500) } as const;
  await happen(stand, last.toSpliced(random.below(last.length), 0, quota));
}

/** Looks at everything once more, when all faults are over. */
async function historyOf(stand: Stand): Promise<History> {
  const { seats, operations, restores, auths } = stand;
  const reader = seats[0];
  if (reader === undefined) throw new Error('there is no seat');
  const secrets = operations.flatMap(({ asked }) => (asked.kind === 'seal' ? [asked.secret] : []));
  for (const secret of secrets) await perform(stand, reader, { kind: 'unseal', secret });
  const { stored, beats } = await reader.auth.must<Everything>({
    kind: 'everything',
    beats: seats.map(({ name }) => `beat-${name}`),
  });
  for (const { auth } of seats)
    await until(
      `the follower of ${auth.name} to hear of everything`,
      () => auth.sessions.at(-1)?.events.at(-1)?.position === stored.length || undefined,
      patienceMs,
    );
  return { operations, stored, beats, restores, sessions: auths.flatMap((one) => one.sessions) };
}

async function damageOf({ cluster }: Stand): Promise<string[]> {
  const options = { peers: cluster.urls, prefix: 'trial', insecure: false, dialTimeoutMs: patienceMs };
  const driver = await openEtcdDriver(options, { sink: silentLog, world: realWorld, reading: true });
  try {
    const { bad } = await verifyLog(driver);
    return bad === undefined ? [] : [`the log is damaged: ${JSON.stringify(bad)}`];
  } finally {
    await driver.close();
  }
}

/** Keeps the history of a run that failed, to be looked at. */
function kept(history: History, seed: number): string {
  const path = join(tmpdir(), `store-trial-${seed}.json`);
  writeFileSync(path, JSON.stringify(history));
  return `its history is in ${path}`;
}

function summaryOf({ operations, stored, sessions, restores }: History): string {
  const count = (outcome: string): number => operations.filter((one) => one.outcome === outcome).length;
  const codes = new Map<string, number>();
  for (const { code } of operations) if (code !== undefined) codes.set(code, (codes.get(code) ?? 0) + 1);
  const there = new Set(stored.map(({ stream, value }) => `${stream} ${value}`));
  const missing = operations
    .filter(({ outcome }) => outcome === 'ok')
    .flatMap(({ asked }) => writesOf(asked))
    .filter(({ stream, value }) => !there.has(`${stream} ${value}`));
  return [
    `${operations.length} operations: ${count('ok')} ok, ${count('failed')} failed, ${count('unknown')} unknown`,
    `(${[...codes].map(([code, n]) => `${code} ${n}`).join(', ')})`,
    `${stored.length} events, ${sessions.length} followers`,
    `${restores.length} restores, by which ${missing.length} writes were lost that nobody knew any more, or whose place was taken`,
  ].join('; ');
}
