import { isCoded, messageOf } from '../base/errors.ts';
import { silentLog } from '../base/log-sink.ts';
import { decodeBatch } from './batch.ts';
import { type Partition, partitions, type Position } from './event.ts';
import { PartitionFold } from './partition-fold.ts';
import type { Damage } from './partition-reader.ts';
import type { SlotDriver, StoredSlot } from './slot-driver.ts';
import { type Manifest, SnapshotStore } from './snapshot-store.ts';

/** What was found in one partition up to its end, or up to its first bad batch. */
export interface PartitionReport {
  readonly partition: Partition;
  /** 1, unless the beginning was trimmed; 0 when the partition is empty. */
  readonly firstSlot: number;
  readonly lastSlot: number;
  readonly events: number;
  readonly position: Position;
  /** Own hash of the last good batch, in hexadecimal: what to compare with a head that was noted elsewhere. */
  readonly head: string;
  readonly snapshots: number;
  readonly damagedSnapshots: readonly { readonly slot: number; readonly reason: string }[];
  readonly bad: Damage | undefined;
}

export interface Verification {
  readonly partitions: readonly PartitionReport[];
  /** The first bad batch: `state` is looked at before `presence`, that before `audit`. */
  readonly bad: Damage | undefined;
}

/**
 * Reads every batch: its form and digest, its place, the chain, positions, revisions and moments; and every snapshot, and
 * whether the chain passes through it. Writes nothing.
 */
export async function verifyLog(driver: SlotDriver): Promise<Verification> {
  const reports: PartitionReport[] = [];
  for (const partition of partitions) reports.push(await verifyPartition(driver, partition));
  return { partitions: reports, bad: reports.find((one) => one.bad)?.bad };
}

async function verifyPartition(driver: SlotDriver, partition: Partition): Promise<PartitionReport> {
  const snapshots = new Map<number, Manifest>();
  const damagedSnapshots: { slot: number; reason: string }[] = [];
  for await (const { slot, found } of new SnapshotStore(driver.snapshots, partition, silentLog).inspect())
    if (typeof found === 'string') damagedSnapshots.push({ slot, reason: found });
    else snapshots.set(slot, found);
  const walk = new Walk(partition, snapshots);
  for await (const stored of driver.read(partition, 1)) if (!walk.take(stored)) break;
  walk.end();
  return { ...walk.report(), snapshots: snapshots.size, damagedSnapshots };
}

class Walk {
  readonly #partition: Partition;
  readonly #snapshots: ReadonlyMap<number, Manifest>;
  #fold: PartitionFold;
  #firstSlot = 0;
  #firstPosition: Position = 1;
  #bad: Damage | undefined;

  constructor(partition: Partition, snapshots: ReadonlyMap<number, Manifest>) {
    this.#partition = partition;
    this.#snapshots = snapshots;
    this.#fold = new PartitionFold(partition);
  }

  /** False at the first bad batch. */
  take({ slot, batch: stored }: StoredSlot): boolean {
    try {
      if (this.#firstSlot === 0) this.#begin(slot, stored);
      if (slot !== this.#fold.slot + 1) return this.#fail(this.#fold.slot + 1, 'it is missing');
      this.#fold.admit(decodeBatch(stored));
      const why = this.#differsFromSnapshot(this.#snapshots.get(slot));
      return why === undefined || this.#fail(slot, why);
    } catch (e) {
      if (!isCoded(e, 'damaged')) throw e;
      return this.#fail(slot, messageOf(e));
    }
  }

  /** A snapshot behind the last slot, or none at a beginning that was trimmed, shows that something was taken away. */
  end(): void {
    if (this.#bad) return;
    const taken = [...this.#snapshots.keys()];
    const beyond = taken.find((slot) => slot > this.#fold.slot);
    if (beyond !== undefined)
      this.#fail(this.#fold.slot + 1, `it is missing: a snapshot was taken at slot ${beyond}`);
    else if (this.#firstSlot > 1 && !taken.some((slot) => slot >= this.#firstSlot))
      this.#fail(this.#firstSlot - 1, 'it is missing, and no snapshot tells what was trimmed');
  }

  report(): Omit<PartitionReport, 'snapshots' | 'damagedSnapshots'> {
    return {
      partition: this.#partition,
      firstSlot: this.#firstSlot,
      lastSlot: this.#fold.slot,
      events: this.#fold.position - this.#firstPosition + 1,
      position: this.#fold.position,
      head: this.#fold.hash.toString('hex'),
      bad: this.#bad,
    };
  }

  #begin(slot: number, stored: Uint8Array): void {
    this.#firstSlot = slot;
    if (slot === 1) return;
    this.#fold.slot = slot - 1;
    const batch = decodeBatch(stored);
    this.#fold = PartitionFold.before(batch);
    this.#fold.slot = slot - 1;
    this.#firstPosition = batch.firstPosition;
  }

  #differsFromSnapshot(manifest: Manifest | undefined): string | undefined {
    if (manifest === undefined) return undefined;
    const same =
      manifest.hash === this.#fold.hash.toString('hex') && manifest.position === this.#fold.position;
    return same ? undefined : 'it is not the batch that the snapshot was taken at';
  }

  #fail(slot: number, reason: string): false {
    this.#bad = { partition: this.#partition, slot, reason };
    return false;
  }
}
