import { isCoded, messageOf } from '../base/errors.ts';
import type { Authenticity } from './authenticity.ts';
import { type Batch, decodeBatch, macFault } from './batch.ts';
import type { Partition, Position } from './event.ts';
import { PartitionFold } from './partition-fold.ts';
import type { BadSlot } from './reader-condition.ts';
import { noHash } from './own-hash.ts';
import { type ArchiveRecord, chainAt, emptyRecord } from './segment-record.ts';
import type { StoredSlot } from './slot-driver.ts';
import type { HeadEvidence, SlotState } from './verify-heads.ts';

/** What the batches of one partition show: their form, place and chain. */
export interface ChainReport {
  readonly partition: Partition;
  /** 1, unless the beginning was trimmed; 0 when the partition is empty. */
  readonly firstSlot: number;
  readonly lastSlot: number;
  readonly events: number;
  readonly position: Position;
  /** Own hash of the last good batch, in hexadecimal: to compare with a head that was noted elsewhere. */
  readonly head: string;
  readonly bad: BadSlot | undefined;
  /** The first slot that has a MAC; undefined when none has. */
  readonly authenticFrom: number | undefined;
  /** Own hash of the batch before the first slot, as that names it. Hexadecimal; zeros before slot 1. */
  readonly before: string;
}

/** Reads the batches of one partition from its first to its first bad one. */
export class Walk {
  readonly #partition: Partition;
  readonly #snapshots: ReadonlyMap<number, SlotState>;
  readonly #evidence: HeadEvidence;
  readonly #authenticity: Authenticity | undefined;
  #fold: PartitionFold;
  #firstSlot = 0;
  #firstPosition: Position = 1;
  #before = noHash;
  #bad: BadSlot | undefined;
  readonly #record: ArchiveRecord;
  readonly #seen: (batch: Batch) => void;

  /**
   * @param parts without `authenticity` the MACs themselves are not checked, only that none is missing.
   *   `record`: what the log says of its archive.
   */
  constructor(
    partition: Partition,
    parts: {
      readonly snapshots: ReadonlyMap<number, SlotState>;
      readonly evidence: HeadEvidence;
      readonly authenticity?: Authenticity | undefined;
      readonly record?: ArchiveRecord | undefined;
      /** Called with each good batch. */
      readonly seen?: (batch: Batch) => void;
    },
  ) {
    this.#partition = partition;
    this.#snapshots = parts.snapshots;
    this.#evidence = parts.evidence;
    this.#authenticity = parts.authenticity;
    this.#record = parts.record ?? emptyRecord;
    this.#seen = parts.seen ?? (() => undefined);
    this.#fold = new PartitionFold(partition);
  }

  /** False at the first bad batch. */
  take({ slot, batch: stored }: StoredSlot): boolean {
    try {
      if (this.#firstSlot === 0) this.#begin(slot, stored);
      if (slot !== this.#fold.slot + 1) return this.#fail(this.#fold.slot + 1, 'it is missing');
      const batch = decodeBatch(stored);
      this.#fold.admit(batch);
      const fault = this.#authenticity && macFault(stored, this.#authenticity);
      if (fault !== undefined) return this.#fail(slot, fault);
      const why = this.#differsFromSnapshot(this.#snapshots.get(slot)) ?? this.#differsFromRecord(slot);
      if (why !== undefined) return this.#fail(slot, why);
      this.#evidence.take(batch);
      this.#seen(batch);
      return true;
    } catch (e) {
      if (!isCoded(e)) throw e;
      return this.#fail(slot, messageOf(e));
    }
  }

  /** What could not be read from where the batches come from. */
  failAt(slot: number, reason: string): void {
    this.#fail(slot, reason);
  }

  /** A snapshot behind the last slot, or none for a trimmed beginning, shows that something was removed. */
  end(): void {
    if (!this.#bad) this.#compareEnds();
    this.#evidence.end(this.#bad === undefined, this.#snapshots);
  }

  #compareEnds(): void {
    const taken = [...this.#snapshots.keys()];
    const beyond = taken.find((slot) => slot > this.#fold.slot);
    if (beyond !== undefined)
      this.#fail(this.#fold.slot + 1, `it is missing: a snapshot was taken at slot ${beyond}`);
    else if (this.#firstSlot > 1 && !taken.some((slot) => slot >= this.#firstSlot))
      this.#fail(this.#firstSlot - 1, 'it is missing, and no snapshot tells what was trimmed');
  }

  report(): ChainReport {
    return {
      partition: this.#partition,
      firstSlot: this.#firstSlot,
      lastSlot: this.#fold.slot,
      events: this.#fold.position - this.#firstPosition + 1,
      position: this.#fold.position,
      head: this.#fold.hash.toString('hex'),
      bad: this.#bad,
      authenticFrom: this.#fold.authenticFrom,
      before: this.#before.toString('hex'),
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
    this.#before = batch.previous;
  }

  #differsFromSnapshot(snapshot: SlotState | undefined): string | undefined {
    if (snapshot === undefined) return undefined;
    const same =
      snapshot.hash === this.#fold.hash.toString('hex') && snapshot.position === this.#fold.position;
    return same ? undefined : 'it is not the batch that the snapshot was taken at';
  }

  #differsFromRecord(slot: number): string | undefined {
    const told = chainAt(this.#record, slot);
    if (told === undefined) return undefined;
    const same = told.hash === this.#fold.hash.toString('hex') && told.position === this.#fold.position;
    return same ? undefined : 'it is not the batch that the log says was moved to the archive';
  }

  #fail(slot: number, reason: string): false {
    this.#bad = { partition: this.#partition, slot, reason };
    return false;
  }
}
