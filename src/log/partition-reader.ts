import { CodedError, isCoded } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { type Batch, decodeBatch } from './batch.ts';
import type { Partition, Position, Recorded } from './event.ts';
import { PartitionFold } from './partition-fold.ts';
import { RecentBatches } from './recent-batches.ts';
import type { SlotDriver, StoredSlot } from './slot-driver.ts';

/** The first slot that cannot be read. What lies before it is served; nothing can be written after it. */
export interface Damage {
  readonly partition: Partition;
  readonly slot: number;
  readonly reason: string;
  /** It is whole: a newer version of this program wrote it. */
  readonly newer?: true;
}

export const damageError = (damage: Damage): CodedError => {
  if (damage.newer) return new CodedError('unavailable', newerText(damage));
  const { partition, slot, reason } = damage;
  return new CodedError('damaged', `the ${partition} log is damaged at slot ${slot}: ${reason}`);
};

/** Why nothing can be written behind a slot of a newer version. */
export const newerText = ({ partition, slot, reason }: Damage): string =>
  `slot ${slot} of the ${partition} log cannot be read: ${reason}`;

export interface ReaderOptions {
  readonly driver: SlotDriver;
  readonly partition: Partition;
  readonly sink: LogSink;
  /** The newest fold that was kept and still joins on to the store. */
  readonly restore: () => Promise<PartitionFold | undefined>;
  /** Decoded batches that are held, in stored bytes. */
  readonly recentBytes: number;
}

/** Reads one partition: keeps its fold at the newest slot seen, and hands out any part of its past. */
export class PartitionReader {
  readonly #options: ReaderOptions;
  readonly #recent: RecentBatches;
  readonly #listeners = new Set<(batch: Batch | 'trimmed beneath') => void>();
  #fold: PartitionFold;
  #damage: Damage | undefined;
  #running: Promise<void> | undefined;
  #queued: Promise<void> | undefined;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#recent = new RecentBatches(options.recentBytes);
    this.#fold = new PartitionFold(options.partition);
  }

  get fold(): PartitionFold {
    return this.#fold;
  }
  get damage(): Damage | undefined {
    return this.#damage;
  }

  /** Begins from the newest snapshot, when there is one, and reads what came after. */
  async open(): Promise<void> {
    this.#fold = (await this.#options.restore()) ?? this.#fold;
    await this.catchUp();
  }

  /** Resolves when every slot that was in the store at the time of the call is folded. Callers share a reading. */
  catchUp(): Promise<void> {
    if (this.#running === undefined) return this.#begin();
    this.#queued ??= this.#running.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#queued;
  }

  /** Folds the next batch; one that is folded already is passed over. Tells the listeners. */
  admit(batch: Batch): void {
    if (batch.slot <= this.#fold.slot) return;
    this.#fold.admit(batch);
    this.#recent.add(batch);
    for (const tell of [...this.#listeners]) tell(batch);
  }

  /** Forgets what lay in slots that were trimmed. */
  forgetBefore(slot: number): void {
    this.#fold.forgetBefore(slot);
    this.#recent.forgetBefore(slot);
  }

  /** `tell` hears of every batch that is folded from now on. Answers how to stop that. */
  listen(tell: (batch: Batch | 'trimmed beneath') => void): () => void {
    this.#listeners.add(tell);
    return () => this.#listeners.delete(tell);
  }

  /**
   * Events after `after` up to `end`, oldest first, page by page from the store.
   * @throws CodedError `cursor_too_old` when some of them were trimmed; `damaged` when some cannot be read.
   */
  async *events(after: Position, end: Position): AsyncGenerator<Recorded> {
    let at = after;
    if (at >= end) return;
    for await (const batch of this.batches(this.#fold.slotBefore(after))) {
      if (batch.firstPosition > at + 1) throw tooOld(this.#options.partition, at);
      for (const event of batch.events) {
        if (event.position > end) return;
        if (event.position <= at) continue;
        at = event.position;
        yield event;
      }
      if (at >= end) return;
    }
  }

  /** The batches from `slot` on, up to the newest folded one. Begins later when those before were trimmed. */
  async *batches(slot: number): AsyncGenerator<Batch> {
    let next = slot;
    while (next <= this.#fold.slot) {
      const known = this.#recent.get(next);
      if (known) {
        yield known;
        next++;
        continue;
      }
      const before = next;
      for await (const batch of this.#stored(next, slot)) {
        yield batch;
        next = batch.slot + 1;
        if (next > this.#fold.slot || this.#recent.get(next)) break;
      }
      if (next === before) throw await this.#missing(next);
    }
  }

  async *#stored(from: number, start: number): AsyncGenerator<Batch> {
    const { driver, partition } = this.#options;
    let next = from;
    for await (const stored of driver.read(partition, from)) {
      if (stored.slot !== next && (next !== start || !(await this.#isTrimmed(next))))
        throw await this.#missing(next);
      yield this.#decode(stored);
      next = stored.slot + 1;
    }
  }

  #decode(stored: StoredSlot): Batch {
    const found = this.#look(stored);
    if ('reason' in found) throw damageError(found);
    return found;
  }

  #look({ slot, batch: bytes }: StoredSlot): Batch | Damage {
    const { partition } = this.#options;
    try {
      const batch = decodeBatch(bytes);
      if (batch.slot === slot && batch.partition === partition) return batch;
      return { partition, slot, reason: `it holds slot ${batch.slot} of ${batch.partition}` };
    } catch (e) {
      if (!isCoded(e)) throw e;
      const { message: reason } = e;
      return e.code === 'unavailable'
        ? { partition, slot, reason, newer: true }
        : { partition, slot, reason };
    }
  }

  async #isTrimmed(slot: number): Promise<boolean> {
    for await (const first of this.#options.driver.read(this.#options.partition, 1)) return first.slot > slot;
    return false;
  }

  async #missing(slot: number): Promise<CodedError> {
    const { partition } = this.#options;
    if (await this.#isTrimmed(slot)) return tooOld(partition, undefined);
    return damageError({ partition, slot, reason: 'it is missing' });
  }

  #begin(): Promise<void> {
    this.#queued = undefined;
    const run = this.#readNewest().finally(() => {
      if (this.#running === run) this.#running = undefined;
    });
    this.#running = run;
    return run;
  }

  async #readNewest(): Promise<void> {
    if (this.#damage) return;
    const { driver, partition } = this.#options;
    for await (const stored of driver.read(partition, this.#fold.slot + 1)) {
      if (stored.slot > this.#fold.slot + 1 && !(await this.#jump(stored.slot))) return;
      if (stored.slot <= this.#fold.slot) continue;
      const found = this.#look(stored);
      if (!('reason' in found)) await this.#fold.recall(found.events.map(({ stream }) => stream));
      if (!this.#fit(stored, found)) return;
    }
  }

  #fit(stored: StoredSlot, found: Batch | Damage): boolean {
    if ('reason' in found) return this.#declareDamaged(found);
    try {
      this.admit(found);
      return true;
    } catch (e) {
      if (!isCoded(e, 'damaged')) throw e;
      const { partition } = this.#options;
      return this.#declareDamaged({ partition, slot: stored.slot, reason: e.message });
    }
  }

  /** Slots were trimmed that this reader had not seen: it goes on from a snapshot. */
  async #jump(to: number): Promise<boolean> {
    const missing = this.#fold.slot + 1;
    const restored = await this.#options.restore();
    if (this.#fold.slot + 1 >= to) return true;
    if (restored === undefined || restored.slot + 1 < to) {
      const { partition } = this.#options;
      const reason = 'it is missing, and no snapshot goes so far';
      return this.#declareDamaged({ partition, slot: missing, reason });
    }
    this.#fold = restored;
    this.#recent.clear();
    for (const tell of [...this.#listeners]) tell('trimmed beneath');
    return true;
  }

  #declareDamaged(damage: Damage): false {
    const { sink } = this.#options;
    this.#damage = damage;
    if (damage.newer)
      sink.error('the log was written by a newer version: what precedes is served, nothing is written', {
        ...damage,
      });
    else sink.error('the log is damaged: what precedes is served, nothing is written', { ...damage });
    return false;
  }
}

export const tooOld = (partition: Partition, after: Position | undefined): CodedError =>
  new CodedError(
    'cursor_too_old',
    after === undefined
      ? `part of the ${partition} log was trimmed beneath the reader`
      : `the ${partition} log no longer holds what came after position ${after}`,
  );
