import type { LogSink } from '../base/log-sink.ts';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { ObjectStore } from '../base/object-store.ts';
import { type Instant, plusMs } from '../base/time.ts';
import type { World } from '../base/world.ts';
import {
  archivedFact,
  type ArchiveDeleted,
  archiveDeletedFact,
  type ArchiveRecord,
  type ArchiveRecords,
  type Archived,
  chainAt,
} from './segment-record.ts';
import { type ArchiveTimes, mostKeptMs } from './archive-times.ts';
import type { Authenticity } from './authenticity.ts';
import type { Batch } from './batch.ts';
import type { Cause, Partition } from './event.ts';
import type { SegmentHeader } from './segment-format.ts';
import { lastTime, type Limit, Overtaken, requireAbove, writeSegment } from './segment-put.ts';
import type { ListedSegment, Segments } from './segments.ts';
import type { SlotDriver, StoredSlot } from './slot-driver.ts';

export interface ArchivingOptions extends ArchiveTimes {
  /** The store itself. */
  readonly driver: Pick<SlotDriver, 'read' | 'bounds'>;
  readonly partition: Partition;
  readonly objects: ObjectStore;
  readonly segments: Segments;
  readonly records: ArchiveRecords;
  readonly authenticity: Authenticity | undefined;
  /** As the reader of the partition does it. @throws CodedError `damaged` */
  readonly decode: (stored: StoredSlot) => Promise<Batch>;
  readonly world: Pick<World, 'now'>;
  readonly sink: LogSink;
  /** A segment is ended with this many bytes of batches. Default 64 MiB. */
  readonly segmentBytes?: number | undefined;
}

const attempts = 5;

/** What of the store is in the archive. */
export interface MovedOut {
  /** The first slot that is not: what is before it may go. */
  readonly before: number;
  /** Why it is not more. */
  readonly failure: Error | undefined;
}

/** Moves slots of one partition from the store to its archive, and deletes there what is old. */
export class Archiving {
  readonly #options: ArchivingOptions;
  /** The time of the last event in the first slot that the store has, for as long as it is the first. */
  #oldest: { readonly floor: number; readonly at: Instant } | undefined;

  constructor(options: ArchivingOptions) {
    this.#options = options;
  }

  /** Whether so much is due that it is worth a run. */
  async isDue(): Promise<boolean> {
    const { keptMs, retentionMs, world, records } = this.#options;
    const now = world.now();
    const oldest = await this.#oldestInStore();
    if (oldest !== undefined && oldest < plusMs(now, -mostKeptMs(keptMs))) return true;
    if (retentionMs === undefined) return false;
    const [first] = (await records.read()).moved;
    return first !== undefined && first.until < plusMs(now, -mostKeptMs(retentionMs));
  }

  /**
   * Moves what the store need not keep any more into segments. Each is read back, and told on the log, before
   * this resolves; the caller then trims. A run that was ended half way is taken up where it was; what
   * another process moves meanwhile, by a clock that may be another, is taken as it moved it.
   * @param before slots from this one on stay.
   * @returns how far it came: until it was done, or failed with CodedError `damaged` when the store is;
   *   `unavailable`, `no_space` when the archive does not take it.
   * @throws CodedError `misconfigured` when the archive holds another log.
   */
  async moveOut(before: number, cause: Cause): Promise<MovedOut> {
    const { driver, partition, world, keptMs } = this.#options;
    const limit = { slot: before, at: plusMs(world.now(), -keptMs) };
    const listed = await this.#ownSegments();
    let next = (await driver.bounds(partition)).floor;
    try {
      for await (const last of this.#moved({ listed, next, limit }, cause)) next = last + 1;
    } catch (e) {
      return { before: next, failure: e instanceof Error ? e : new Error(String(e)) };
    }
    return { before: next, failure: undefined };
  }

  /** Moves one segment after the other. Yields the last slot of each. */
  async *#moved({ listed: first, next: from, limit }: Turn, cause: Cause): AsyncGenerator<number> {
    const { driver, partition, segments } = this.#options;
    let [listed, next, overtaken] = [first, from, 0];
    for (;;) {
      next = Math.max(next, (await driver.bounds(partition)).floor);
      try {
        const last = await this.#moveNext({ listed, next, limit }, cause);
        if (last === undefined) return;
        yield last;
        [next, overtaken] = [last + 1, 0];
      } catch (e) {
        if (!(e instanceof Overtaken)) throw e;
        if (++overtaken >= attempts)
          throw new CodedError('conflict', 'others move the same part of the log, again and again');
        listed = await segments.list();
      }
    }
  }

  /** @returns the last slot of the next segment; undefined when no more is due. @throws Overtaken */
  async #moveNext({ listed, next, limit }: Turn, cause: Cause): Promise<number | undefined> {
    const { partition, sink, segments, records } = this.#options;
    const record = await records.read();
    const told = await this.#toldOf(record, next);
    // Another process moved it, and is about to trim: to tell of other cuts would take back what it told.
    if (told !== undefined && told.slot >= limit.slot) return undefined;
    const wanted = told === undefined ? limit : { slot: told.slot + 1, at: undefined };
    const header =
      (await this.#adopted({ listed, next, limit: wanted }, told)) ??
      (await writeSegment(this.#options, next, wanted, told !== undefined));
    if (header === undefined) return undefined;
    const { firstSlot, lastSlot, from, until } = header;
    if (await this.#tell(header, record, cause))
      sink.info('a part of the log was moved to its archive', {
        ...{ partition, firstSlot, lastSlot, from, until },
        place: segments.place,
      });
    return lastSlot;
  }

  /** What the log says that this slot was moved with, if that is of this branch of it. */
  async #toldOf({ moved }: ArchiveRecord, slot: number): Promise<Archived | undefined> {
    const { driver, partition, decode } = this.#options;
    const told = moved.find((one) => one.firstSlot <= slot && slot <= one.slot);
    if (told === undefined) return undefined;
    for await (const stored of driver.read(partition, told.slot)) {
      if (stored.slot !== told.slot) throw new Overtaken();
      return (await decode(stored)).hash.toString('hex') === told.hash ? told : undefined;
    }
    return undefined;
  }

  /**
   * Deletes from the archive what is older than it is to be kept, after the log says so; also what an earlier
   * run left. @returns the last slot that is deleted, and its last position; undefined: none is.
   */
  async deleteOld(cause: Cause): Promise<Pick<ArchiveDeleted, 'slot' | 'position'> | undefined> {
    const { records, retentionMs, world, partition, segments, sink, driver } = this.#options;
    let record = await records.read();
    // After the store went back it may have again what the log says was moved.
    const { floor } = await driver.bounds(partition);
    const past = retentionMs === undefined ? undefined : plusMs(world.now(), -retentionMs);
    const isOver = ({ slot, until }: { readonly slot: number; readonly until: Instant }): boolean =>
      past !== undefined && until < past && slot < floor;
    const last = record.moved.filter(isOver).at(-1);
    if (last !== undefined) {
      const { slot, position, hash, until } = last;
      const fact = archiveDeletedFact({ partition, slot, position, hash, until, place: segments.place });
      // Another process did the same: the next run looks again.
      if (!(await records.append(fact, cause))) return record.deleted;
      record = await records.read();
      sink.info('a part of the archive is older than it is kept, and is deleted', { partition, slot, until });
    }
    if (record.deleted !== undefined) await this.#remove(record.deleted.slot);
    return record.deleted;
  }

  /**
   * The oldest first, so that what is left is one piece whenever it ends.
   * @throws CodedError `misconfigured` at one of another log, which stays.
   */
  async #remove(upTo: number): Promise<void> {
    const { segments, objects } = this.#options;
    for (const one of await segments.list()) {
      if (one.lastSlot > upTo) continue;
      await this.#requireOwn(one);
      await objects.remove(one.name);
    }
  }

  async #oldestInStore(): Promise<Instant | undefined> {
    const { driver, partition } = this.#options;
    const { floor } = await driver.bounds(partition);
    if (this.#oldest?.floor === floor) return this.#oldest.at;
    for await (const stored of driver.read(partition, floor)) {
      const at = lastTime(await this.#options.decode(stored));
      this.#oldest = { floor, at };
      return at;
    }
    return undefined;
  }

  /**
   * A segment that an earlier run or another process left, if it is what the store has; undefined: none is.
   * @param told the one that the log counts.
   */
  async #adopted({ listed, next, limit }: Turn, told?: Archived): Promise<SegmentHeader | undefined> {
    const { segments, sink } = this.#options;
    for (const one of listed) {
      const isDue = limit.at === undefined || one.until < limit.at;
      const fits = told === undefined ? one.lastSlot < limit.slot && isDue : one.lastSlot === told.slot;
      if (one.firstSlot !== next || !fits) continue;
      try {
        if (await this.#isSame(one)) return await segments.header(one);
        sink.warn('a segment in the archive is of a branch of the log that was lost: it is passed over', {
          segment: one.name,
        });
      } catch (e) {
        if (!(e instanceof CodedError) || e.code !== 'damaged') throw e;
        sink.warn('a segment in the archive is damaged: it is written again', { reason: messageOf(e) });
      }
    }
    return undefined;
  }

  /** Every slot of the segment, as the store has it. */
  async #isSame(one: ListedSegment): Promise<boolean> {
    const { driver, partition, segments } = this.#options;
    const archived = segments.slotsOf(one);
    try {
      for await (const { slot, batch } of driver.read(partition, one.firstSlot)) {
        const next = await archived.next();
        if (next.done === true) return true;
        if (slot > next.value.slot) await requireAbove(driver, partition, next.value.slot);
        if (next.value.slot !== slot || Buffer.compare(next.value.batch, batch) !== 0) return false;
      }
      return false;
    } finally {
      await archived.return(undefined);
    }
  }

  /**
   * Unless the log says so already.
   * @param record by which it was cut. @returns whether it was told now.
   * @throws Overtaken when others told of the archive since, and not the same.
   */
  async #tell(header: SegmentHeader, record: ArchiveRecord, cause: Cause): Promise<boolean> {
    const { records, partition, segments } = this.#options;
    const { firstSlot, lastSlot: slot, lastPosition: position, head: hash, from, until } = header;
    if (chainAt(record, slot)?.hash === hash) return false;
    const fact = archivedFact({
      ...{ partition, firstSlot, slot, position, hash, from, until },
      place: segments.place,
    });
    if (await records.append(fact, cause)) return true;
    if (chainAt(await records.read(), slot)?.hash === hash) return false;
    throw new Overtaken();
  }

  /**
   * The segments of an archive that is the right one.
   * @throws CodedError `misconfigured` for one that has nothing of what the log says is there, as far as that
   *   is to be kept; for one that has segments of another log.
   */
  async #ownSegments(): Promise<readonly ListedSegment[]> {
    const { segments, records, retentionMs, world } = this.#options;
    const past = retentionMs === undefined ? '' : plusMs(world.now(), -retentionMs);
    for (let attempt = 1; ; attempt++) {
      // In this order: another process may add some in between.
      const { moved } = await records.read();
      const listed = await segments.list();
      const kept = moved.filter(({ until }) => until >= past);
      const has = ({ slot }: Archived): boolean => listed.some(({ lastSlot }) => lastSlot === slot);
      if (kept.length === 0 || kept.some(has)) {
        for (const one of new Set([listed[0], listed.at(-1)])) if (one) await this.#requireOwn(one);
        return listed;
      }
      // Or another process may just have deleted them, for which the log then has a reason.
      if (attempt < 2) continue;
      throw new CodedError(
        'misconfigured',
        `${segments.place} has none of the segments that the log says are in its archive (${kept.at(-1)?.place ?? ''}): is it mounted, and the right one?`,
      );
    }
  }

  /** @throws CodedError `misconfigured` for a segment of another log. A damaged one may be of this. */
  async #requireOwn(one: ListedSegment): Promise<void> {
    try {
      await this.#options.segments.header(one);
    } catch (e) {
      if (!isCoded(e, 'damaged')) throw e;
    }
  }
}

/** What is to be moved next. */
interface Turn {
  readonly listed: readonly ListedSegment[];
  readonly next: number;
  readonly limit: Limit;
}
