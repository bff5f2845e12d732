import { silentLog } from '../base/log-sink.ts';
import type { ObjectStore } from '../base/object-store.ts';
import type { Instant } from '../base/time.ts';
import { archivedDriver } from './archived-driver.ts';
import type { Authenticity } from './authenticity.ts';
import type { Batch } from './batch.ts';
import { type Partition, partitions } from './event.ts';
import { type BadSlot, damaged } from './reader-condition.ts';
import { newestHasMac } from './seal-old-log.ts';
import { type ArchiveRecord, movedUpTo } from './segment-record.ts';
import { SegmentFault, Segments } from './segments.ts';
import type { LogKey } from './signed-head.ts';
import type { SlotDriver, StoredSlot } from './slot-driver.ts';
import { SnapshotStore } from './snapshot-store.ts';
import { HeadEvidence, type HeadsReport, type SlotState, type WitnessedHead } from './verify-heads.ts';
import { wasGivenUp } from './given-up.ts';
import { ToldOfArchive } from './verify-archive.ts';
import { type ChainReport, Walk } from './verify-walk.ts';

/** The result for one partition up to its end, or up to its first bad batch. */
export interface PartitionReport extends ChainReport {
  readonly snapshots: number;
  readonly damagedSnapshots: readonly { readonly slot: number; readonly reason: string }[];
  readonly heads: HeadsReport;
  /** Errors shown by signed heads: the first of each kind. */
  readonly findings: readonly BadSlot[];
  /** What was moved to an archive that was not looked at, where the log says it is. */
  readonly archived?: { readonly firstSlot: number; readonly lastSlot: number; readonly place: string };
  /** The last slot that the log says was deleted from the archive. */
  readonly deletedUpTo?: number;
}

export interface Verification {
  readonly partitions: readonly PartitionReport[];
  /** The first bad batch: `state` is checked before `presence`, that before `audit`. */
  readonly bad: BadSlot | undefined;
  /** Where signed heads, on the log or kept elsewhere, contradict the batches. */
  readonly findings: readonly BadSlot[];
  /** The keys on the log. */
  readonly keys: readonly LogKey[];
}

/** What is known besides the log itself. */
export interface VerifyOptions {
  /** Signed heads that were kept elsewhere, of any partition. Collect them before the store is read. */
  readonly witnessed?: readonly WitnessedHead[];
  /** The only keys whose signatures count. Default: those on the log, which its owner could replace. */
  readonly trusted?: readonly LogKey[];
  /** When the archive was made: younger heads are not compared. */
  readonly madeAt?: Instant;
  /** Checks MACs. Default: they are not checked. */
  readonly authenticity?: Authenticity | undefined;
  /**
   * Where `audit` goes: what is there is read as well. Default: it is not looked at, only compared with what
   * the log says of it.
   */
  readonly archive?: ObjectStore | undefined;
  /** Called with each good batch, in order. */
  readonly seen?: (partition: Partition, batch: Batch) => void;
}

/** The partition that may have an archive. */
const archived: Partition = 'audit';

/**
 * Reads every batch: its form and digest, its place, the chain, positions, revisions and times; every
 * snapshot, and whether the chain passes through it; every signed head; with the key of the log every MAC. Of
 * a partition that has an archive the segments first, then the store. Writes nothing.
 */
export async function verifyLog(driver: SlotDriver, options: VerifyOptions = {}): Promise<Verification> {
  const reports: PartitionReport[] = [];
  const keys: LogKey[] = [];
  const told = new ToldOfArchive(driver, archived);
  for (const partition of partitions)
    reports.push(await verifyPartition(driver, partition, { ...options, keys, told }));
  return {
    partitions: reports,
    bad: reports.find((one) => one.bad)?.bad,
    findings: reports.flatMap((one) => one.findings),
    keys,
  };
}

type PartitionOptions = VerifyOptions & { readonly keys: LogKey[]; readonly told: ToldOfArchive };

async function verifyPartition(
  driver: SlotDriver,
  partition: Partition,
  options: PartitionOptions,
): Promise<PartitionReport> {
  const snapshots = new Map<number, SlotState>();
  const damagedSnapshots: { slot: number; reason: string }[] = [];
  const { authenticity, told, archive } = options;
  const trust = authenticity && { authenticity, isAuthentic: () => newestHasMac(driver, partition) };
  const stored = new SnapshotStore(driver.snapshots, partition, silentLog, trust);
  for await (const { slot, found } of stored.inspect())
    if (typeof found === 'string') damagedSnapshots.push({ slot, reason: found });
    else snapshots.set(slot, found);
  const record = () => Promise.resolve(told.record);
  const whole =
    archive === undefined || partition !== archived
      ? driver
      : archivedDriver(
          driver,
          partition,
          new Segments({ objects: archive, partition, authenticity, record }),
        );
  const { floor } = await driver.bounds(partition);
  const found = await verifyBatches(partition, whole.read(partition, 1), { ...options, snapshots, floor });
  const bad = (await missingAtBeginning(driver, found, told)) ?? found.bad;
  return {
    ...found,
    bad,
    snapshots: snapshots.size,
    damagedSnapshots,
    ...(partition === archived && elsewhere(told.record, found.firstSlot)),
  };
}

/**
 * What the store has, it says itself: after it went back that may be something else than what was moved
 * before.
 */
const below = ({ moved, deleted }: ArchiveRecord, floor: number): ArchiveRecord => ({
  moved: moved.filter(({ slot }) => slot < floor),
  deleted,
});

/** What the log says of slots before the first that was read. */
const elsewhere = (
  { moved, deleted }: ArchiveRecord,
  firstSlot: number,
): Pick<PartitionReport, 'archived' | 'deletedUpTo'> => {
  const [unread] = moved.filter(({ slot }) => slot < firstSlot);
  return {
    ...(unread !== undefined && {
      archived: { firstSlot: unread.firstSlot, lastSlot: firstSlot - 1, place: unread.place },
    }),
    ...(deleted !== undefined && { deletedUpTo: deleted.slot }),
  };
};

/** The slot where the log should begin, when it is neither there nor trimmed, nor moved, nor deleted. */
async function missingAtBeginning(
  driver: SlotDriver,
  { partition, firstSlot, before }: ChainReport,
  told: ToldOfArchive,
): Promise<BadSlot | undefined> {
  if (firstSlot <= 1) return undefined;
  if (!(await wasGivenUp(driver, partition, firstSlot - 1))) {
    const { floor } = await driver.bounds(partition);
    return damaged(partition, floor, 'it is missing');
  }
  return partition === archived ? told.beginningFault(firstSlot, before) : undefined;
}

/**
 * The same for the batches of one partition, wherever they come from: the first to the last, in order.
 * @param options `keys`: those on the log, known from `state`; to these the keys in the batches are added,
 *   and what they tell of the archive to `told`. `snapshots`: what good snapshots say the chain was, by slot.
 *   `floor`: of the store.
 */
export async function verifyBatches(
  partition: Partition,
  batches: AsyncIterable<StoredSlot> | Iterable<StoredSlot>,
  options: PartitionOptions & {
    readonly snapshots: ReadonlyMap<number, SlotState>;
    readonly floor: number;
  },
): Promise<ChainReport & Pick<PartitionReport, 'heads' | 'findings'>> {
  const { keys, snapshots, witnessed = [], trusted, madeAt, authenticity, told } = options;
  const record = partition === archived ? below(told.record, options.floor) : undefined;
  const upTo = record && movedUpTo(record);
  const evidence = new HeadEvidence({ partition, witnessed, keys, trusted, madeAt, movedUpTo: upTo });
  const seen = (batch: Batch): void => {
    if (partition === 'state') told.take(batch);
    options.seen?.(partition, batch);
  };
  const walk = new Walk(partition, { snapshots, evidence, authenticity, record, seen });
  try {
    for await (const stored of batches) if (!walk.take(stored)) break;
  } catch (e) {
    if (!(e instanceof SegmentFault)) throw e;
    walk.failAt(e.slot, e.message);
  }
  walk.end();
  return { ...walk.report(), heads: evidence.report(), findings: evidence.findings() };
}
