import type { ArchiveTimes } from './archive-times.ts';
import type { Instant } from '../base/time.ts';
import { isCoded } from '../base/errors.ts';
import type {
  ArchiveReport,
  ClusterLog,
  EventLog,
  LogArchive,
  PartitionContents,
  PartitionStats,
} from './event-log.ts';
import { type Partition, partitions, type Position } from './event.ts';
import { keptPartitions, type Outlook, outlookOf } from './growth.ts';
import { readLogKeys } from './log-key.ts';
import { logTrouble } from './log-trouble.ts';
import { compactionStream } from './partition-fold.ts';
import { newestHead, unsignedEvents } from './signed-head-append.ts';
import type { LogKey, SignedHead } from './signed-head.ts';
import type { StoreReport } from './slot-driver.ts';

/** Everything an operator may want to know about a log. */
export interface LogInfo {
  readonly store: StoreReport;
  /** Why it accepts nothing new, or soon will not; undefined when all is well. */
  readonly trouble: string | undefined;
  /** The keys that sign heads, the one in use last. */
  readonly keys: readonly LogKey[];
  readonly partitions: readonly PartitionInfo[];
  /** How long the store has room at this pace. */
  readonly outlook: Outlook;
  /** Of `audit`; undefined where it is kept in the store. */
  readonly archive: ArchiveInfo | undefined;
}

export interface ArchiveInfo extends ArchiveTimes {
  /** Undefined while it cannot be read. */
  readonly found: ArchiveReport | undefined;
  /** What is missing in it, or why it cannot be read. */
  readonly trouble: string | undefined;
}

export interface PartitionInfo extends PartitionContents {
  readonly partition: Partition;
  readonly slot: number;
  readonly position: Position;
  readonly streams: number;
  /** The first slot that has a MAC. */
  readonly authenticFrom?: number;
  /**
   * Of this process: who follows the partition, and how many events the slowest is behind; what waits to be
   * stored.
   */
  readonly followers: number;
  readonly lag: number;
  readonly waitingAppends: number;
  readonly waitingBytes: number;
  readonly appends: number;
  readonly conflicts: number;
  readonly ambiguous: number;
  readonly slowestCommitMs: number;
  readonly eventsSinceSnapshot: number;
  readonly lastCompaction: { readonly at: Instant; readonly by: string } | undefined;
  readonly signedHead: SignedHead | undefined;
  /** Events that the newest signed head does not cover. */
  readonly unsigned: number;
  /** The store went back, and how far. Data that would have to be read from it is left out then. */
  readonly wentBack?: string;
}

/**
 * Reads the store where this process does not know. For a log that cannot be read to its end: the part
 * before.
 */
export async function logInfo(log: ClusterLog): Promise<LogInfo> {
  const infos: PartitionInfo[] = [];
  for (const partition of partitions) infos.push(await partitionInfo(log, partition));
  const keys = await unlessWentBack(log, 'state', () => readLogKeys(asKnown(log.state)));
  const store = log.store();
  const kept = keptPartitions.map((name) => infos.find(({ partition }) => partition === name)?.growth);
  return {
    store,
    outlook: outlookOf(store.room, kept),
    trouble: logTrouble(log),
    keys: keys ?? [],
    partitions: infos,
    archive: log.archive && (await archiveInfo(log.archive)),
  };
}

async function archiveInfo(archive: LogArchive): Promise<ArchiveInfo> {
  const { keptMs, retentionMs } = archive;
  try {
    const found = await archive.report();
    return { keptMs, retentionMs, found, trouble: found.fault };
  } catch (e) {
    if (!isCoded(e)) throw e;
    return { keptMs, retentionMs, found: undefined, trouble: e.message };
  }
}

/** Reads what is folded, without checking whether that is all: `trouble` reports that. */
const asKnown = (log: EventLog): Pick<EventLog, 'read' | 'revision'> => ({
  read: (stream, after) => log.read(stream, after, 0),
  revision: (stream) => log.revision(stream, 0),
});

async function lookOnce(log: EventLog): Promise<void> {
  try {
    await log.head();
  } catch (e) {
    if (!isCoded(e)) throw e;
  }
}

/** Undefined when the store went back: it does not contain what was folded. */
async function unlessWentBack<T>(
  log: ClusterLog,
  partition: Partition,
  read: () => Promise<T>,
): Promise<T | undefined> {
  if (log.stats()[partition].wentBack !== undefined) return undefined;
  try {
    return await read();
  } catch (e) {
    if (log.stats()[partition].wentBack === undefined) throw e;
    return undefined;
  }
}

async function partitionInfo(log: ClusterLog, partition: Partition): Promise<PartitionInfo> {
  await lookOnce(log[partition]);
  const known = asKnown(log[partition]);
  const contents = await log.inspect(partition);
  const read = await unlessWentBack(log, partition, async () => ({
    newest: await newestHead(known, partition),
    lastCompaction: await compactedLast(known, partition),
  }));
  const stats = log.stats()[partition];
  return {
    partition,
    ...contents,
    ...figuresOf(stats),
    lastCompaction: read?.lastCompaction,
    signedHead: read?.newest.head,
    unsigned: read === undefined ? 0 : unsignedEvents(read.newest, stats.position),
    ...(stats.authenticFrom !== undefined && { authenticFrom: stats.authenticFrom }),
    ...(stats.wentBack !== undefined && { wentBack: stats.wentBack }),
  };
}

const figuresOf = (
  stats: PartitionStats,
): Pick<PartitionInfo, keyof PartitionStats & keyof PartitionInfo> => {
  const { slot, position, streams, followers, lag, waitingAppends, waitingBytes } = stats;
  const { appends, conflicts, ambiguous, slowestCommitMs, eventsSinceSnapshot } = stats;
  return {
    ...{ slot, position, streams, followers, lag, waitingAppends, waitingBytes },
    ...{ appends, conflicts, ambiguous, slowestCommitMs, eventsSinceSnapshot },
  };
};

async function compactedLast(
  log: Pick<EventLog, 'read' | 'revision'>,
  partition: Partition,
): Promise<PartitionInfo['lastCompaction']> {
  const stream = compactionStream(partition);
  const revision = await log.revision(stream);
  if (revision === 0) return undefined;
  try {
    for await (const { cause } of log.read(stream, revision - 1)) return { at: cause.at, by: cause.actor };
  } catch (e) {
    if (!isCoded(e, 'cursor_too_old')) throw e;
  }
  return undefined;
}
