import { CodedError, isCoded } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { restore, type RestoreState } from '../../domain/restore.ts';
import { clusterStream, restoreStream } from '../../domain/streams.ts';
import type { EventLog, Write } from '../../log/event-log.ts';
import type { Cause, Fact } from '../../log/event.ts';
import { load } from '../../log/execute.ts';
import type { NewStream, RestorePlan } from './plan-restore.ts';

/** Of one append: about half of what a batch takes, since sealing adds to facts. */
const mostFacts = 256;
const mostBytes = 120_000;
/** Several auth servers may restore one store from one file: each conflict means that another one went on. */
const mostConflicts = 1_000;

interface Restoring {
  readonly state: EventLog;
  readonly sink: LogSink;
  readonly cause: Cause;
}

/**
 * Writes what was planned into a store without a cluster. Until the last append there is no cluster, and only
 * the same file goes on; that append creates it.
 * @throws CodedError `misconfigured` when the store holds something else already.
 */
export async function restoreCluster({ state, sink, cause }: Restoring, plan: RestorePlan): Promise<void> {
  const { digest, counts } = plan;
  await requireEmpty(state, plan);
  for (let conflicts = 0; ;)
    try {
      if ((await state.revision(clusterStream)) > 0) return;
      await writeContents(state, plan, cause);
      const begun = await underWay(state);
      const finished = restore.decide(begun, { type: 'finish-restore', digest, counts });
      await state.append(
        [{ stream: restoreStream, expected: 1, facts: finished }, ...plan.cluster.map(asNew)],
        cause,
      );
      sink.warn('the cluster was restored from a file', { clusterName: plan.clusterName, digest, ...counts });
      if (plan.expired > 0)
        sink.warn('tokens and locks of the file had expired and were left out', { count: plan.expired });
      return;
    } catch (e) {
      if (!isCoded(e, 'conflict') || ++conflicts > mostConflicts) throw e;
    }
}

/** Nothing of the plan is there, unless the same file was begun with before. */
async function requireEmpty(state: EventLog, { contents, cluster }: RestorePlan): Promise<void> {
  const asOf = await state.head();
  if ((await state.revision(restoreStream, asOf)) > 0) return;
  for (const { stream } of [...contents, ...cluster])
    if ((await state.revision(stream, asOf)) > 0)
      throw new CodedError(
        'misconfigured',
        `the store is not empty (it has ${stream}): --bootstrap restores into an empty one`,
      );
}

async function writeContents(
  state: EventLog,
  { digest, contents }: RestorePlan,
  cause: Cause,
): Promise<void> {
  const begins = restore.decide(await underWay(state), { type: 'begin-restore', digest });
  if (begins.length > 0)
    await state.append([{ stream: restoreStream, expected: 0, facts: begins }, noCluster], cause);
  const missing: NewStream[] = [];
  const asOf = await state.head();
  for (const one of contents) if ((await state.revision(one.stream, asOf)) === 0) missing.push(one);
  for (const part of parts(missing))
    await state.append(
      [{ stream: restoreStream, expected: 1, facts: [] }, noCluster, ...part.map(asNew)],
      cause,
    );
}

/** @throws CodedError `conflict` when another auth server has just finished it. */
async function underWay(state: EventLog): Promise<Exclude<RestoreState, { status: 'finished' }>> {
  const { state: known } = await load(state, restore, restoreStream);
  if (known.status !== 'finished') return known;
  throw new CodedError('conflict', 'another auth server has restored the store');
}

/** Guards that an auth server of an older release did not create one meanwhile. */
const noCluster: Write = { stream: clusterStream, expected: 0, facts: [] };

const asNew = ({ stream, facts }: NewStream): Write => ({ stream, expected: 0, facts });

function* parts(streams: readonly NewStream[]): Generator<readonly NewStream[]> {
  let part: NewStream[] = [];
  let [facts, bytes] = [0, 0];
  for (const one of streams) {
    const size = one.facts.reduce((sum, fact) => sum + sizeOf(fact), 0);
    if (part.length > 0 && (facts + one.facts.length > mostFacts || bytes + size > mostBytes)) {
      yield part;
      part = [];
      [facts, bytes] = [0, 0];
    }
    part.push(one);
    facts += one.facts.length;
    bytes += size;
  }
  if (part.length > 0) yield part;
}

const sizeOf = ({ data, secrets = {} }: Fact): number =>
  Buffer.byteLength(JSON.stringify(data)) +
  Object.values(secrets).reduce((sum, secret) => sum + 2 * secret.length, 0) +
  300;
