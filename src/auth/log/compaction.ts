import { isCoded, messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { Metrics } from '../../base/service.ts';
import { minute, second } from '../../base/time.ts';
import { startTicker, stopTimer } from '../../base/timers.ts';
import type { World } from '../../base/world.ts';
import type { ClusterLog, ViewState } from '../../log/event-log.ts';
import { isTrimmed, type Partition, partitions } from '../../log/event.ts';
import type { AuthViews } from '../auth-views.ts';
import { pastViewNames } from '../past/past-states.ts';
import { SnapshotRecord } from './snapshot-record.ts';
import { ownCause } from '../own-cause.ts';

export interface Compaction {
  /** Takes the snapshots that are due. */
  run(): Promise<void>;
  /**
   * One line when snapshots have failed for long: otherwise nobody would notice a log that only grows until
   * too late.
   */
  trouble(): string | undefined;
  close(): Promise<void>;
}

export interface CompactionOptions {
  readonly log: ClusterLog;
  readonly views: Pick<AuthViews, 'stored'>;
  /** Resolves when the audit has all that is in `attempts`, which is trimmed then. */
  readonly tellAttempts: () => Promise<void>;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  /** Of this auth server. */
  readonly hostId: string;
  /** A snapshot after so many events. Default 10,000. */
  readonly everyEvents?: number | undefined;
}

const usualEveryEvents = 10_000;
/** With several auth servers, and while one is being taken, some more are written: so many times as many. */
const overdueFactor = 3;
/** What is trimmed is at least this old: a fold that begins there relies on it (`saidAgainWithinMs`). */
export const presenceEveryMs = 5 * minute;
const checkEveryMs = 15 * second;
const askArchiveEveryMs = 5 * minute;
/**
 * How long no server of an older release must have written anything before the log is sealed. A running auth
 * server renews its presence more often, and so does one that is draining.
 */
export const sealAfterMs = 10 * minute;
/** Longer than a running auth server goes without a batch in `presence`. */
const silentAfterMs = minute;

/**
 * Keeps opening fast, `presence` and `attempts` small, and moves what is old of `audit` to its archive, if it
 * has one. Any auth server may do it; the log lets only one finish. `state` is kept whole.
 */
export function startCompaction(options: CompactionOptions): Compaction {
  const { log, views, world, sink, metrics, hostId, everyEvents = usualEveryEvents } = options;
  let presenceAt = world.monotonic();
  let presenceEvents = 0;
  const record = new SnapshotRecord(world, log, overdueFactor * everyEvents);

  const isDue = (partition: Partition): boolean => {
    const { eventsSinceSnapshot } = log.stats()[partition];
    const retry = record.mayRetry(partition);
    if (retry !== undefined) return retry;
    if (partition !== 'presence') return eventsSinceSnapshot >= everyEvents;
    // Fewer than before: another auth server has taken the snapshot. With any number of servers it is taken
    // once in that time.
    if (eventsSinceSnapshot < presenceEvents) presenceAt = world.monotonic();
    presenceEvents = eventsSinceSnapshot;
    return eventsSinceSnapshot > 0 && world.monotonic() - presenceAt >= presenceEveryMs;
  };

  const keptOf = (partition: Partition): readonly ViewState[] =>
    partition === 'audit' ? [] : views.stored(partition);
  const trimOf = (partition: Partition): { readonly trim: boolean } => ({
    trim: isTrimmed(partition) || (partition === 'audit' && log.archive !== undefined),
  });

  let askedArchiveAt: number | undefined;
  /** Whether `audit` is due because of its archive. Asked of the store, and so not all the time. */
  const isArchiveDue = async (partition: Partition): Promise<boolean> => {
    if (partition !== 'audit' || log.archive === undefined || record.isFailing(partition)) return false;
    const now = world.monotonic();
    const everyMs = Math.min(askArchiveEveryMs, log.archive.keptMs);
    if (askedArchiveAt !== undefined && now - askedArchiveAt < everyMs) return false;
    askedArchiveAt = now;
    return log.archive.isDue();
  };

  /** What is trimmed must be in the audit. */
  const prepare = async (partition: Partition): Promise<void> => {
    if (partition === 'attempts') await options.tellAttempts();
  };

  const take = async (partition: Partition): Promise<void> => {
    await prepare(partition);
    const cause = ownCause({ world, hostId });
    const how = { ...trimOf(partition), milestones: partition === 'state' ? pastViewNames : [] };
    const taken = await log.takeSnapshot(partition, keptOf(partition), how, cause);
    if (partition === 'presence') presenceAt = world.monotonic();
    if (taken.status === 'taken') record.taken(partition, taken.position);
    metrics.add('log_snapshots_total', 1, { partition, outcome: taken.status });
    sink.debug('a snapshot was asked for', { partition, ...taken });
  };

  let heard = { slot: log.stats().presence.slot, at: world.monotonic() };
  let hearingSince = heard.at;
  /**
   * For how long everything that was written has been seen, in milliseconds. While nobody can write, or this
   * process reads nothing or stands still, a server of an older release is as silent as if it were gone.
   */
  const hearingMs = (): number => {
    const now = world.monotonic();
    const { slot } = log.stats().presence;
    if (now - heard.at > silentAfterMs) hearingSince = now;
    if (slot !== heard.slot) heard = { slot, at: now };
    return now - hearingSince;
  };

  /** Once no server of an older release runs any more; such a server could not write afterwards. */
  const seal = async (): Promise<void> => {
    const stats = log.stats();
    const open = partitions.filter((one) => stats[one].slot > 0 && stats[one].authenticFrom === undefined);
    const quietMs = Math.min(...partitions.map((one) => stats[one].withoutOlderReleaseMs));
    if (Math.min(hearingMs(), quietMs) < sealAfterMs) return;
    for (const partition of open) {
      const cause = ownCause({ world, hostId });
      await prepare(partition);
      const outcome = await log.seal(partition, keptOf(partition), trimOf(partition), cause);
      if (outcome === 'sealed')
        sink.warn(
          'each batch of the log has a MAC from now on: earlier batches are taken as they were found in the store, and releases that wrote none can neither read what comes nor write',
          { partition, slot: log.stats()[partition].authenticFrom },
        );
    }
  };

  const run = async (): Promise<void> => {
    try {
      await seal();
    } catch (e) {
      sink.warn('the log could not be sealed: it is tried again', { reason: messageOf(e) });
    }
    for (const partition of partitions) {
      metrics.set('log_events_since_snapshot', log.stats()[partition].eventsSinceSnapshot, { partition });
      try {
        if (isDue(partition) || (await isArchiveDue(partition))) await take(partition);
        if (partition !== 'presence') await record.look(partition);
      } catch (e) {
        metrics.add('log_snapshots_total', 1, { partition, outcome: isCoded(e) ? e.code : 'failed' });
        sink.warn('a snapshot of the log failed', { partition, reason: messageOf(e) });
        record.failed(partition, messageOf(e));
      }
    }
  };

  let running = Promise.resolve();
  const timer = startTicker(() => {
    running = running.then(run);
  }, checkEveryMs);
  timer.unref();
  return {
    run,
    trouble: () => record.trouble(),
    close: async () => {
      stopTimer(timer);
      await running;
    },
  };
}
