import { silentLog } from '../base/log-sink.ts';
import type { Instant } from '../base/time.ts';
import type { Authenticity } from './authenticity.ts';
import { type Partition, partitions } from './event.ts';
import { type BadSlot, damaged } from './reader-condition.ts';
import { newestHasMac } from './seal-old-log.ts';
import type { LogKey } from './signed-head.ts';
import type { SlotDriver, StoredSlot } from './slot-driver.ts';
import { SnapshotStore } from './snapshot-store.ts';
import { HeadEvidence, type HeadsReport, type SlotState, type WitnessedHead } from './verify-heads.ts';
import { wasGivenUp } from './given-up.ts';
import { type ChainReport, Walk } from './verify-walk.ts';

/** The result for one partition up to its end, or up to its first bad batch. */
export interface PartitionReport extends ChainReport {
  readonly snapshots: number;
  readonly damagedSnapshots: readonly { readonly slot: number; readonly reason: string }[];
  readonly heads: HeadsReport;
  /** Errors shown by signed heads: the first of each kind. */
  readonly findings: readonly BadSlot[];
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
}

/**
 * Reads every batch: its form and digest, its place, the chain, positions, revisions and times; every
 * snapshot, and whether the chain passes through it; every signed head; with the key of the log every MAC.
 * Writes nothing.
 */
export async function verifyLog(driver: SlotDriver, options: VerifyOptions = {}): Promise<Verification> {
  const reports: PartitionReport[] = [];
  const keys: LogKey[] = [];
  for (const partition of partitions)
    reports.push(await verifyPartition(driver, partition, { ...options, keys }));
  return {
    partitions: reports,
    bad: reports.find((one) => one.bad)?.bad,
    findings: reports.flatMap((one) => one.findings),
    keys,
  };
}

type PartitionOptions = VerifyOptions & { readonly keys: LogKey[] };

async function verifyPartition(
  driver: SlotDriver,
  partition: Partition,
  options: PartitionOptions,
): Promise<PartitionReport> {
  const snapshots = new Map<number, SlotState>();
  const damagedSnapshots: { slot: number; reason: string }[] = [];
  const { authenticity } = options;
  const trust = authenticity && { authenticity, isAuthentic: () => newestHasMac(driver, partition) };
  const stored = new SnapshotStore(driver.snapshots, partition, silentLog, trust);
  for await (const { slot, found } of stored.inspect())
    if (typeof found === 'string') damagedSnapshots.push({ slot, reason: found });
    else snapshots.set(slot, found);
  const found = await verifyBatches(partition, driver.read(partition, 1), { ...options, snapshots });
  const bad = (await missingAtBeginning(driver, found)) ?? found.bad;
  return { ...found, bad, snapshots: snapshots.size, damagedSnapshots };
}

/** The slot where the log should begin, when it is neither there nor trimmed. */
async function missingAtBeginning(
  driver: SlotDriver,
  { partition, firstSlot }: ChainReport,
): Promise<BadSlot | undefined> {
  if (firstSlot <= 1 || (await wasGivenUp(driver, partition, firstSlot - 1))) return undefined;
  const { floor } = await driver.bounds(partition);
  return damaged(partition, floor, 'it is missing');
}

/**
 * The same for the batches of one partition, wherever they come from: the first to the last, in order.
 * @param options `keys`: those on the log, known from `state`; to these the keys in the batches are added.
 * `snapshots`: what good snapshots say the chain was, by slot.
 */
export async function verifyBatches(
  partition: Partition,
  batches: AsyncIterable<StoredSlot> | Iterable<StoredSlot>,
  options: PartitionOptions & { readonly snapshots: ReadonlyMap<number, SlotState> },
): Promise<ChainReport & Pick<PartitionReport, 'heads' | 'findings'>> {
  const { keys, snapshots, witnessed = [], trusted, madeAt, authenticity } = options;
  const evidence = new HeadEvidence({ partition, witnessed, keys, trusted, madeAt });
  const walk = new Walk(partition, { snapshots, evidence, authenticity });
  for await (const stored of batches) if (!walk.take(stored)) break;
  walk.end();
  return { ...walk.report(), heads: evidence.report(), findings: evidence.findings() };
}
