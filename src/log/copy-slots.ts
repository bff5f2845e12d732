import { hash } from 'node:crypto';
import { backoffMs, pause } from '../base/backoff.ts';
import { CodedError, isCoded } from '../base/errors.ts';
import { type Batch, decodeBatch } from './batch.ts';
import type { Partition } from './event.ts';
import { fenceStream } from './fence.ts';
import { PartitionFold } from './partition-fold.ts';
import { damaged, damageError } from './reader-condition.ts';
import { wasGivenUp } from './given-up.ts';
import type { SlotDriver, StoredSlot } from './slot-driver.ts';

export interface SlotCopyOptions {
  readonly partition: Partition;
  readonly source: Pick<SlotDriver, 'read' | 'bounds' | 'snapshots'>;
  readonly target: SlotDriver;
  /** How long a store that does not reply is retried. */
  readonly patienceMs: number;
  /**
   * Set when others may write to the target: slots written after one that they took would damage their log.
   */
  readonly oneByOne?: boolean;
}

/** What was copied of one partition, or found there already. */
export interface CopiedPartition {
  readonly partition: Partition;
  /** 1, unless the beginning was trimmed; 0 when the partition is empty. */
  readonly firstSlot: number;
  readonly lastSlot: number;
  readonly position: number;
  readonly events: number;
  readonly bytes: number;
  /** Own hash of the last batch, in hexadecimal. */
  readonly head: string;
}

/** Concurrent writes. An interruption may leave gaps, which the next run fills. */
const maxUnderWay = 16;
/** Number of slots after which the written ones are read back. */
const readBackEvery = 4096;
/** How many are loaded at once. */
const loadSlots = 256;
const loadBytes = 1024 * 1024;

/**
 * Copies the slots of one partition, byte for byte, and verifies them: each batch is checked against the
 * chain before it is written, and its bytes are compared with those that the target returns.
 */
export class SlotCopy {
  readonly #options: SlotCopyOptions;
  #fold: PartitionFold;
  #firstSlot = 0;
  #firstPosition = 1;
  #bytes = 0;
  /** The slots that the target had when this copy began; undefined once they were compared. */
  #held: Lookahead | undefined;
  readonly #underWay = new Set<Promise<void>>();
  #failure: unknown;
  /** Where the slots of the target will begin, once it holds that one. */
  #floorDue: number | undefined;
  /** To be loaded together. */
  #pending: StoredSlot[] = [];
  #pendingBytes = 0;
  /** Digests of slots that were written and not read back yet. */
  readonly #written = new Map<number, string>();

  constructor(options: SlotCopyOptions) {
    this.#options = options;
    this.#fold = new PartitionFold(options.partition);
    this.#held = new Lookahead(options.target.read(options.partition, 1));
  }

  /** Of the source, as far as it was copied. */
  get fold(): PartitionFold {
    return this.#fold;
  }

  get copied(): CopiedPartition {
    const { partition, slot, position, hash: head } = this.#fold;
    return {
      partition,
      firstSlot: this.#firstSlot,
      lastSlot: slot,
      position,
      events: position - this.#firstPosition + 1,
      bytes: this.#bytes,
      head: head.toString('hex'),
    };
  }

  /**
   * Copies the slots up to `last` that the source has and the target does not. Returns how many slots that
   * were. While others write, a pass without an end might never have one.
   * @throws CodedError `damaged` when the source is; `already_exists` when the target holds another log;
   *   `too_large` for a batch that the target does not accept: each names the slot.
   */
  async pass(last: number): Promise<number> {
    const { source, partition } = this.#options;
    let written = 0;
    try {
      for await (const stored of source.read(partition, this.#fold.slot + 1)) {
        if (stored.slot > last) break;
        if (stored.slot !== this.#fold.slot + 1) await this.#beginAt(stored);
        this.#admit(stored);
        if (await this.#isHeld(stored)) continue;
        written++;
        await this.#write(stored);
        if (this.#written.size >= readBackEvery) await this.#readBack();
      }
    } finally {
      await Promise.all(this.#underWay);
    }
    await this.#readBack();
    await this.#endOfHeld();
    return written;
  }

  /** The beginning was trimmed, before this copy or during it: the target drops those slots as well. */
  async #beginAt(stored: StoredSlot): Promise<void> {
    const { source, partition } = this.#options;
    if (!(await wasGivenUp(source, partition, stored.slot - 1))) {
      const { floor } = await source.bounds(partition);
      throw damageError(damaged(partition, Math.max(floor, this.#fold.slot + 1), 'it is missing'));
    }
    await this.#readBack();
    const batch = this.#decode(stored);
    this.#fold = PartitionFold.before(batch);
    this.#firstSlot = stored.slot;
    this.#firstPosition = batch.firstPosition;
    this.#bytes = 0;
    await this.#held?.skipTo(stored.slot);
    this.#floorDue = stored.slot;
  }

  #admit(stored: StoredSlot): void {
    const { partition, target } = this.#options;
    const batch = this.#decode(stored);
    try {
      this.#fold.admit(batch);
    } catch (e) {
      throw isCoded(e, 'damaged') ? damageError(damaged(partition, stored.slot, e.message)) : e;
    }
    if (this.#firstSlot === 0) this.#firstSlot = stored.slot;
    this.#bytes += stored.batch.length;
    if (stored.batch.length > target.limits.maxBatchBytes)
      throw new CodedError(
        'too_large',
        `slot ${stored.slot} of ${partition} has ${stored.batch.length} bytes, and the target takes ${target.limits.maxBatchBytes}: this log cannot be copied there`,
      );
  }

  #decode({ slot, batch }: StoredSlot): Batch {
    try {
      return decodeBatch(batch);
    } catch (e) {
      if (!isCoded(e, 'damaged')) throw e;
      throw damageError(damaged(this.#options.partition, slot, e.message));
    }
  }

  async #isHeld({ slot, batch }: StoredSlot): Promise<boolean> {
    await this.#held?.skipTo(slot);
    const held = await this.#held?.peek();
    if (held?.slot !== slot) return false;
    if (!sameBytes(held.batch, batch)) throw this.#differs(slot);
    await this.#held?.skipTo(slot + 1);
    return true;
  }

  async #write(stored: StoredSlot): Promise<void> {
    this.#written.set(stored.slot, digestOf(stored.batch));
    if (this.#options.oneByOne === true) {
      if (this.#floorDue === stored.slot) await this.#bridge(stored);
      else await this.#append(stored);
      return;
    }
    this.#pending.push(stored);
    this.#pendingBytes += stored.batch.length;
    if (this.#pending.length >= loadSlots || this.#pendingBytes >= loadBytes) await this.#load();
  }

  async #load(): Promise<void> {
    const slots = this.#pending;
    if (slots.length === 0) return;
    this.#pending = [];
    this.#pendingBytes = 0;
    const { partition, target, patienceMs } = this.#options;
    await this.#begin(() => insist(patienceMs, () => target.load(partition, slots)));
  }

  /**
   * Waits until few are under way, then begins one more. Its failure is reported by the next one, or by
   * reading back.
   */
  async #begin(act: () => Promise<void>): Promise<void> {
    while (this.#underWay.size >= maxUnderWay) await Promise.race(this.#underWay);
    if (this.#failure !== undefined) throw this.#failure as Error;
    const one = act()
      .catch((e: unknown) => {
        this.#failure ??= e;
      })
      .finally(() => this.#underWay.delete(one));
    this.#underWay.add(one);
  }

  /** The slot after those that the target drops as well, so that there is no batch to append it after. */
  async #bridge(stored: StoredSlot): Promise<void> {
    const { partition, target, patienceMs } = this.#options;
    await insist(patienceMs, () => target.load(partition, [stored]));
    await this.#raiseFloor();
  }

  /** An append can be repeated: it then finds its own bytes. */
  async #append({ slot, batch }: StoredSlot): Promise<void> {
    const { partition, target } = this.#options;
    const after = { slot: slot - 1, hash: decodeBatch(batch).previous };
    await insist(this.#options.patienceMs, async () => {
      if ((await target.append(partition, after, batch)).status === 'committed') return;
      for await (const found of target.read(partition, slot)) {
        if (found.slot === slot && sameBytes(found.batch, batch)) return;
        break;
      }
      throw this.#differs(slot);
    });
  }

  /** Only now: a floor is never above what a store holds. */
  async #raiseFloor(): Promise<void> {
    const due = this.#floorDue;
    if (due === undefined) return;
    const { partition, target, patienceMs } = this.#options;
    await insist(patienceMs, () => target.trim(partition, due));
    this.#floorDue = undefined;
  }

  /** Compares the written slots with those that the target returns. */
  async #readBack(): Promise<void> {
    await this.#load();
    await Promise.all(this.#underWay);
    if (this.#failure !== undefined) throw this.#failure as Error;
    const { partition, target, patienceMs, oneByOne } = this.#options;
    // If others write to the log, its further slots stay.
    if (oneByOne !== true) await this.#raiseFloor();
    await insist(patienceMs, async () => {
      const first = this.#written.keys().next().value;
      if (first === undefined) return;
      for await (const { slot, batch } of target.read(partition, first)) {
        const expected = this.#written.get(slot);
        if (expected !== undefined && digestOf(batch) !== expected) throw this.#differs(slot);
        this.#written.delete(slot);
        if (this.#written.size === 0) return;
      }
    });
    const [missing] = this.#written.keys();
    if (missing !== undefined)
      throw new CodedError(
        'damaged',
        `the target does not hold slot ${missing} of ${partition}, which it took`,
      );
  }

  /**
   * Behind the end of the source there are at most slots that an earlier run wrote to open the log at the
   * target.
   */
  async #endOfHeld(): Promise<void> {
    for (let held = await this.#held?.peek(); held; held = await this.#held?.peek()) {
      if (!this.#opensTarget(held)) throw this.#differs(held.slot);
      await this.#held?.skipTo(held.slot + 1);
    }
    this.#held = undefined;
  }

  #opensTarget({ batch }: StoredSlot): boolean {
    if (this.#fold.fence === undefined) return false;
    try {
      const { events, previous } = decodeBatch(batch);
      const stream = fenceStream(this.#options.partition);
      return previous.equals(this.#fold.hash) && events.every((event) => event.stream === stream);
    } catch (e) {
      if (isCoded(e, 'damaged')) return false;
      throw e;
    }
  }

  #differs(slot: number): CodedError {
    const { partition } = this.#options;
    return new CodedError(
      'already_exists',
      `the target holds another log: slot ${slot} of ${partition} differs`,
    );
  }
}

/** Reads slots, one ahead. */
export class Lookahead {
  readonly #slots: AsyncIterator<StoredSlot>;
  #next: StoredSlot | undefined;
  #ended = false;

  constructor(slots: AsyncIterable<StoredSlot>) {
    this.#slots = slots[Symbol.asyncIterator]();
  }

  async peek(): Promise<StoredSlot | undefined> {
    if (this.#next === undefined && !this.#ended) {
      const { value, done } = (await this.#slots.next()) as IteratorResult<StoredSlot, undefined>;
      this.#ended = done === true;
      this.#next = value;
    }
    return this.#next;
  }

  async skipTo(slot: number): Promise<void> {
    for (let next = await this.peek(); next && next.slot < slot; next = await this.peek())
      this.#next = undefined;
  }

  /** Reads to the end. Returns how many were left. */
  async count(): Promise<number> {
    let left = 0;
    for (; await this.peek(); left++) this.#next = undefined;
    return left;
  }
}

const retry = { baseMs: 50, maxMs: 2_000 };

/** Retries while the store does not reply, up to `patienceMs`. For operations that may be done twice. */
export async function insist<T>(patienceMs: number, act: () => Promise<T>): Promise<T> {
  const end = performance.now() + patienceMs;
  for (let attempt = 1; ; attempt++) {
    try {
      return await act();
    } catch (e) {
      if (!isCoded(e, 'ambiguous') && !isCoded(e, 'unavailable')) throw e;
      if (performance.now() >= end) throw e;
      await pause(backoffMs(attempt, retry.baseMs, retry.maxMs, 1));
    }
  }
}

const digestOf = (bytes: Uint8Array): string => hash('sha256', bytes, 'base64');
const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
