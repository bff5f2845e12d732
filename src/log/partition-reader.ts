import { type CodedError, isCoded } from '../base/errors.ts';
import { silentLog } from '../base/log-sink.ts';
import { turns } from '../base/turns.ts';
import { BatchCheck } from './batch-check.ts';
import { type Batch, isByOlderRelease } from './batch.ts';
import { noHash } from './own-hash.ts';
import type { Position, Recorded } from './event.ts';
import { holdsPlace, isHeld, isTrimmed, slotAt } from './held-slots.ts';
import { PartitionFold } from './partition-fold.ts';
import {
  type Condition,
  conditionError,
  type Damage,
  damaged,
  damageError,
  tellCondition,
} from './reader-condition.ts';
import { type News, type ReaderOptions, tooOld } from './reader-options.ts';
import { RecentBatches } from './recent-batches.ts';
import { slotBefore } from './slot-search.ts';
import { type Place, type StoredSlot, StoreWentBack } from './slot-driver.ts';

/** Reads one partition: keeps its fold at the newest slot seen, and returns any part of its past. */
export class PartitionReader {
  readonly #options: ReaderOptions;
  readonly #recent: RecentBatches;
  readonly #listeners = new Set<(news: News) => void>();
  #fold: PartitionFold;
  #condition: Condition | undefined;
  #known: Place | undefined;
  /** The log is known to have MACs. */
  #mustBeAuthentic: boolean;
  #olderReleaseAt: number;
  #check: BatchCheck;
  #running: Promise<void> | undefined;
  #queued: Promise<void> | undefined;
  #isOpen = false;
  /** The result of the last reading beside the served fold, and until when it is used. */
  #aside: { readonly until: number; readonly stopped: Condition | undefined } | undefined;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#recent = new RecentBatches(options.recentBytes);
    this.#fold = this.#begun(new PartitionFold(options.partition));
    this.#known = options.known;
    this.#mustBeAuthentic = options.known?.authentic === true;
    this.#olderReleaseAt = this.#options.world.monotonic();
    this.#check = new BatchCheck(options);
  }

  get fold(): PartitionFold {
    return this.#fold;
  }
  /** As of the last look. */
  get condition(): Condition | undefined {
    return this.#condition;
  }
  get recent(): RecentBatches {
    return this.#recent;
  }
  /** Whether this log is known to have MACs, from what was folded or from elsewhere. */
  get isAuthentic(): boolean {
    return this.#mustBeAuthentic || this.#fold.authenticFrom !== undefined;
  }
  /** For how long, since it was opened, no batch has come from a release without MACs. Milliseconds. */
  get withoutOlderReleaseMs(): number {
    return this.#options.world.monotonic() - this.#olderReleaseAt;
  }

  /**
   * Begins from the newest snapshot, when there is one, and reads later events, as far as they can be read.
   */
  async open(): Promise<void> {
    const restored = await this.#options.restore();
    if (restored) this.#fold = this.#begun(restored);
    try {
      await this.catchUp();
    } catch (e) {
      if (this.#condition === undefined) throw e;
    }
    // Anybody may have written it. A log that went back is not served, and a recovery has to see it.
    if (this.#isUnproved && this.#condition !== undefined && this.#condition.status !== 'went back')
      await this.#forget();
    this.#isOpen = true;
  }

  /** The log has MACs, and none was seen yet that covers what was folded. */
  get #isUnproved(): boolean {
    return this.#mustBeAuthentic && this.#fold.authenticFrom === undefined;
  }

  /** Drops what was folded, except for what is in a snapshot. */
  async #forget(): Promise<void> {
    const restored = await this.#options.restore();
    this.#fold = this.#begun(restored ?? new PartitionFold(this.#options.partition));
    this.#recent.clear();
  }

  /**
   * Reads the log beside the served fold, which it replaces once a MAC covers it. Returns what stopped it. It
   * reads the whole log each time, so not again before ten times as long has passed.
   */
  async #readAside(): Promise<Condition | undefined> {
    const { world } = this.#options;
    const began = world.monotonic();
    if (this.#aside && began < this.#aside.until) return this.#aside.stopped;
    const known = { ...(this.#known ?? { slot: 0, hash: noHash }), authentic: true };
    const aside = new PartitionReader({ ...this.#options, known, sink: silentLog, begun: () => undefined });
    await aside.open();
    const now = world.monotonic();
    this.#aside = { until: now + 10 * (now - began), stopped: aside.#condition };
    if (aside.#isUnproved) return aside.#condition;
    this.#fold = this.#begun(aside.#fold);
    this.#recent.clear();
    this.#known = aside.#known;
    this.#tell('trimmed beneath');
    return aside.#condition;
  }

  /**
   * Resolves when every slot that was in the store at the time of the call is folded. Callers share a
   * reading.
   * @throws CodedError `damaged`, `unavailable` when the store cannot be read to its end, or is not the one
   *   that was folded: then the fold must not be used for decisions.
   */
  catchUp(): Promise<void> {
    if (this.#running === undefined) return this.#begin();
    this.#queued ??= this.#running.then(
      () => this.#begin(),
      () => this.#begin(),
    );
    return this.#queued;
  }

  /** The store is known to have held this: checks whether it still does. If not, it has gone back. */
  async lookFor(place: Place): Promise<void> {
    if (this.#known === undefined || this.#known.slot < place.slot) this.#known = place;
    try {
      await this.catchUp();
    } catch (e) {
      if (this.#condition === undefined) throw e;
    }
  }

  /** Folds the next batch; one that is folded already is ignored. Informs the listeners. */
  admit(batch: Batch, stored: Uint8Array): void {
    if (batch.slot <= this.#fold.slot) return;
    this.#fold.admit(batch);
    if (isByOlderRelease(batch)) this.#olderReleaseAt = this.#options.world.monotonic();
    this.#recent.add(batch, stored);
    this.#tell(batch);
  }

  /** Forgets the content of trimmed slots. */
  forgetBefore(slot: number): void {
    this.#fold.forgetBefore(slot);
    this.#recent.forgetBefore(slot);
  }

  /**
   * Drops what was folded, and begins from the current content of the store. Followers are told to begin
   * again as well.
   */
  async beginAgain(): Promise<void> {
    this.#known = undefined;
    this.#mustBeAuthentic = false;
    this.#check = new BatchCheck(this.#options);
    await this.#forget();
    this.#setCondition(undefined);
    this.#tell('went back');
    await this.catchUp();
  }

  /** `tell` is called with every batch that is folded from now on. Returns a function that stops that. */
  listen(tell: (news: News) => void): () => void {
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
    for await (const batch of this.batches(await slotBefore(this, after))) {
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

  /** One folded batch; undefined when it was trimmed, or is damaged. */
  async batchAt(slot: number): Promise<Batch | undefined> {
    const recent = this.#recent.get(slot);
    const stored = recent === undefined ? await slotAt(this.#options, slot) : undefined;
    if (stored === undefined) return recent;
    const found = await this.#check.lookBack(stored, this.#fold);
    return 'status' in found ? undefined : found;
  }

  /** The batches from `slot` on, up to the newest folded one. Begins later when those before were trimmed. */
  async *batches(slot: number): AsyncGenerator<Batch> {
    let next = slot;
    // Who passes over what he reads does not wait for anything else.
    const due = turns();
    while (next <= this.#fold.slot) {
      await due();
      const known = this.#recent.get(next);
      if (known) {
        yield known;
        next++;
        continue;
      }
      const before = next;
      for await (const batch of this.#stored(next, slot)) {
        await due();
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
      if (stored.slot !== next && (next !== start || !(await isTrimmed(this.#options, next))))
        throw await this.#missing(next);
      yield await this.decode(stored);
      next = stored.slot + 1;
    }
  }

  /**
   * A batch that was folded before, as the store returns it now. An unreadable one is read a second time
   * before that counts.
   * @throws CodedError `damaged`; `unavailable` when a newer version wrote it.
   */
  async decode(stored: StoredSlot): Promise<Batch> {
    const found = await this.#check.lookBack(stored, this.#fold);
    if (!('status' in found)) return found;
    const again = await slotAt(this.#options, stored.slot);
    const second = again === undefined ? found : await this.#check.lookBack(again, this.#fold);
    if ('status' in second) throw damageError(second);
    return second;
  }

  /** Records the slots that the first batch with a MAC vouches for, so that each can be read by itself. */
  keepOldSlots(): Promise<void> {
    return this.#check.keepOldSlots(this.#fold);
  }

  async #missing(slot: number): Promise<CodedError> {
    const { partition } = this.#options;
    if (await isTrimmed(this.#options, slot)) return tooOld(partition, undefined);
    return damageError(damaged(partition, slot, 'it is missing'));
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
    const found = (await this.#tryToRead()) && (await this.#tryToRead());
    this.#setCondition(found);
    if (found !== undefined) throw conditionError(found);
  }

  /** Reads on from the fold. Returns what stopped it. */
  async #tryToRead(): Promise<Condition | undefined> {
    if (this.#isOpen && this.#isUnproved) return this.#readAside();
    const { driver, partition } = this.#options;
    const { slot, hash } = this.#fold;
    try {
      for await (const stored of driver.read(partition, slot + 1, slot === 0 ? undefined : hash)) {
        if (stored.slot > this.#fold.slot + 1) {
          const stopped = await this.#jump(stored.slot);
          if (stopped !== undefined) return stopped;
        }
        if (stored.slot <= this.#fold.slot) continue;
        const stopped = await this.#take(stored);
        if (stopped !== undefined) return stopped;
      }
      return (await this.#checkKnown()) ?? this.#checkAuthentic();
    } catch (e) {
      if (!(e instanceof StoreWentBack)) throw e;
      return this.#wentBack(slot);
    }
  }

  /** Once the fold has passed the known place, the chain vouches for it. */
  async #checkKnown(): Promise<Condition | undefined> {
    const known = this.#known;
    if (known === undefined) return undefined;
    if (known.slot > this.#fold.slot || !(await isHeld(this.#options, known)))
      return this.#wentBack(known.slot);
    this.#known = undefined;
    return undefined;
  }

  #checkAuthentic(): Damage | undefined {
    const { slot, authenticFrom } = this.#fold;
    if (!this.#mustBeAuthentic || slot === 0 || authenticFrom !== undefined) return undefined;
    const reason =
      'no batch of it has a MAC, and this machine knows that each had one: somebody who does not hold the keyring rewrote the log';
    return damaged(this.#options.partition, slot, reason);
  }

  async #take(stored: StoredSlot): Promise<Condition | undefined> {
    const found = this.#check.look(stored);
    if ('status' in found) return found;
    await this.#fold.recall(found.events.map(({ stream }) => stream));
    try {
      this.admit(found, stored.batch);
      return undefined;
    } catch (e) {
      if (!isCoded(e, 'damaged')) throw e;
      const { partition } = this.#options;
      const { slot, hash } = this.#fold;
      // A complete batch that follows a different one from ours, which was trimmed since, belongs to another
      // branch.
      const isHeld = found.previous.equals(hash) || (await holdsPlace(this.#options, { slot, hash }));
      return isHeld ? damaged(partition, stored.slot, e.message) : await this.#wentBack(slot);
    }
  }

  /** Slots were trimmed that this reader had not seen: it continues from a snapshot. */
  async #jump(to: number): Promise<Damage | undefined> {
    const { partition } = this.#options;
    const next = this.#fold.slot + 1;
    if (!(await isTrimmed(this.#options, next))) return damaged(partition, next, 'it is missing');
    const restored = await this.#options.restore();
    if (this.#fold.slot + 1 >= to) return undefined;
    if (restored === undefined || restored.slot + 1 < to)
      return damaged(partition, next, 'it was given up, and no snapshot goes so far');
    this.#fold = this.#begun(restored);
    this.#recent.clear();
    this.#tell('trimmed beneath');
    return undefined;
  }

  async #wentBack(slot: number): Promise<Condition> {
    const { driver, partition } = this.#options;
    return { status: 'went back', partition, slot, head: (await driver.bounds(partition)).head };
  }

  #setCondition(condition: Condition | undefined): void {
    tellCondition(this.#options.sink, this.#condition, condition);
    const begins = condition?.status === 'went back' && this.#condition?.status !== 'went back';
    this.#condition = condition;
    if (begins) this.#tell('went back');
  }

  #begun(fold: PartitionFold): PartitionFold {
    this.#options.begun?.(fold);
    return fold;
  }

  #tell(news: News): void {
    for (const tell of [...this.#listeners]) tell(news);
  }
}
