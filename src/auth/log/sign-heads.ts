import { isCoded, messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { Metrics } from '../../base/service.ts';
import { minute, msBetween, second } from '../../base/time.ts';
import { startTicker, stopTimer, type Timer } from '../../base/timers.ts';
import type { World } from '../../base/world.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { type Cause, type Partition, partitions } from '../../log/event.ts';
import { type HeadSigner, openHeadSigner } from '../../log/log-key.ts';
import {
  appendSignedHead,
  type NewestHead,
  newestHead,
  unsignedEvents,
} from '../../log/signed-head-append.ts';
import type { Witnesses } from '../../log/signed-head-witness.ts';
import { ownCause } from '../own-cause.ts';

export interface SigningHeads {
  /** Signs what is due, makes the key where there is none, and continues until `close`. */
  start(): Promise<void>;
  /** Signs what is due. */
  run(): Promise<void>;
  /** One line when heads could not be signed for long. */
  trouble(): string | undefined;
  close(): Promise<void>;
}

export interface SigningOptions {
  readonly log: ClusterLog;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  /** Of this auth server. */
  readonly hostId: string;
  readonly witnesses: Witnesses;
}

const everyEvents = 1_000;
const everyMs = 60 * second;
const lookEveryMs = second;
const retryMs = 15 * second;

interface Failing {
  /** For people. */
  readonly since: string;
  readonly reason: string;
  /** By a monotonic clock, as `retryAt`. */
  readonly began: number;
  readonly retryAt: number;
}

/** What this process knows of one partition. */
interface Signed {
  newest: NewestHead;
  /** When this process learned of it, by a monotonic clock. */
  since: number;
}

/**
 * Signs the head of each partition 60 s after the one before or 1,000 events after it, whichever comes first,
 * and only when something happened. Any auth server may do it: the first to append has signed, and the others
 * read it. Each sends the heads that it signed or read to its witnesses.
 */
export function signingHeads(options: SigningOptions): SigningHeads {
  const { log, world, sink, metrics, hostId, witnesses } = options;
  const known = new Map<Partition, Signed>();
  /** Partitions for which the witnesses have been informed that their store went back. */
  const toldOf = new Set<Partition>();
  let signer: HeadSigner | undefined;
  let failing: Failing | undefined;

  const cause = (): Cause => ownCause({ world, hostId });

  const isDue = (partition: Partition): boolean => {
    const { position } = log.stats()[partition];
    const signed = known.get(partition);
    if (signed === undefined) return position > 0;
    const unsigned = unsignedEvents(signed.newest, position);
    metrics.set('log_unsigned_events', unsigned, { partition });
    if (unsigned <= 0) return false;
    return (
      unsigned >= everyEvents ||
      signed.newest.head === undefined ||
      world.monotonic() - signed.since >= everyMs
    );
  };

  const note = (partition: Partition, newest: NewestHead): void => {
    const before = known.get(partition)?.newest;
    if (before?.revision === newest.revision) return;
    const { head } = newest;
    // At a start it may be old already. A time in the future comes from another server's clock.
    const age = before === undefined && head !== undefined ? Math.max(0, msBetween(head.at, world.now())) : 0;
    known.set(partition, { newest, since: world.monotonic() - age });
    if (head === undefined) return;
    metrics.set('log_signed_position', head.position, { partition });
    witnesses.send(head);
  };

  const sign = async (partition: Partition): Promise<void> => {
    note(partition, await newestHead(log[partition], partition));
    const newest = known.get(partition)?.newest;
    if (newest === undefined || !isDue(partition)) return;
    const by = cause();
    signer ??= await openHeadSigner(log.state, by);
    const made = await appendSignedHead(log, partition, newest, signer, by);
    metrics.add('log_heads_signed_total', 1, { partition, outcome: made ? 'signed' : 'superseded' });
    note(partition, made ?? (await newestHead(log[partition], partition)));
  };

  const fail = (partition: Partition, e: unknown): void => {
    const reason = `${partition}: ${messageOf(e)}`;
    const now = world.monotonic();
    metrics.add('log_heads_signed_total', 1, { partition, outcome: isCoded(e) ? e.code : 'failed' });
    if (failing === undefined) sink.warn('a head of the log could not be signed', { partition, reason });
    const { since, began } = failing ?? { since: world.now(), began: now };
    failing = { since, began, reason, retryAt: now + retryMs };
  };

  const tellWitnesses = (partition: Partition, wentBack: string | undefined): void => {
    if (wentBack === undefined) toldOf.delete(partition);
    if (wentBack === undefined || toldOf.has(partition)) return;
    toldOf.add(partition);
    const { slot, hash } = log.stats()[partition];
    witnesses.send({
      notice: 'the store went back',
      ...{ partition, slot, hash, reason: wentBack, at: world.now(), hostId },
    });
  };

  const run = async (): Promise<void> => {
    if (failing && world.monotonic() < failing.retryAt) return;
    let failed = false;
    for (const partition of partitions) {
      const { damage, fence, wentBack } = log.stats()[partition];
      tellWitnesses(partition, wentBack);
      if (wentBack !== undefined || damage !== undefined || fence !== undefined || !isDue(partition))
        continue;
      try {
        await sign(partition);
      } catch (e) {
        failed = true;
        fail(partition, e);
      }
    }
    if (failed || failing === undefined) return;
    sink.info('heads of the log are signed again', { since: failing.since });
    failing = undefined;
  };

  let running: Promise<void> | undefined;
  const runOnce = (): Promise<void> => {
    running ??= run().finally(() => {
      running = undefined;
    });
    return running;
  };
  let timer: Timer | undefined;
  return {
    start: async () => {
      await runOnce();
      timer = startTicker(() => void runOnce(), lookEveryMs);
      timer.unref();
    },
    run: runOnce,
    trouble: () =>
      failing && world.monotonic() - failing.began > 10 * minute
        ? `heads of the log have not been signed since ${failing.since}: ${failing.reason}`
        : undefined,
    close: async () => {
      stopTimer(timer);
      await running;
    },
  };
}
