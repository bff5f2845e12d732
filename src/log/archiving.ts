import type { LogSink } from '../base/log-sink.ts';
import { CodedError, messageOf } from '../base/errors.ts';
import type { ObjectStore } from '../base/object-store.ts';
import { hour, type Instant, plusMs } from '../base/time.ts';
import type { World } from '../base/world.ts';
import {
  archivedFact,
  archiveDeletedFact,
  type ArchiveRecord,
  type ArchiveRecords,
  chainAt,
} from './segment-record.ts';
import type { Authenticity } from './authenticity.ts';
import type { Batch } from './batch.ts';
import type { ArchiveTimes } from './event-log.ts';
import type { Cause, Partition } from './event.ts';
import { damaged, damageError } from './reader-condition.ts';
import type { SegmentAbout, SegmentHeader } from './segment-format.ts';
import { SegmentWriter } from './segment-format.ts';
import { segmentName } from './segment-name.ts';
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

const usualSegmentBytes = 64 * 1024 * 1024;
/**
 * It is not moved before there is this much more than is kept, as a part of what is kept, up to six hours: so
 * that segments are few.
 */
const laterBy = { part: 4, mostMs: 6 * hour };
const attempts = 5;

/** Where a run may go to. */
interface Limit {
  /** This slot and those after it stay: a snapshot needs them. */
  readonly slot: number;
  /** What happened then, or later, stays. */
  readonly at: Instant;
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
    if (oldest !== undefined && oldest < plusMs(now, -withLater(keptMs))) return true;
    if (retentionMs === undefined) return false;
    const [first] = (await records.read()).moved;
    return first !== undefined && first.until < plusMs(now, -withLater(retentionMs));
  }

  /**
   * Moves what the store need not keep any more into segments. Each is read back, and told on the log, before
   * this resolves; the caller then trims. A run that was ended half way is taken up where it was.
   * @param before slots from this one on stay.
   * @returns the first slot that is not in the archive: what is before it may go.
   * @throws CodedError `damaged` when the store is; `unavailable`, `no_space` when the archive does not take
   *   it; `misconfigured` when it holds another log. What was moved by then stays.
   */
  async moveOut(before: number, cause: Cause): Promise<number> {
    const { driver, partition, segments, world, keptMs, sink } = this.#options;
    const limit = { slot: before, at: plusMs(world.now(), -keptMs) };
    let { floor: next } = await driver.bounds(partition);
    const listed = await segments.list();
    let record = await this.#options.records.read();
    refuseStrange(record, listed, segments.place);
    for (;;) {
      const header = (await this.#adopted(listed, next, limit)) ?? (await this.#written(next, limit));
      if (header === undefined) return next;
      record = await this.#tell(header, record, cause);
      const { firstSlot, lastSlot, from, until } = header;
      sink.info('a part of the log was moved to its archive', {
        ...{ partition, firstSlot, lastSlot, from, until },
        place: segments.place,
      });
      next = lastSlot + 1;
    }
  }

  /**
   * Deletes from the archive what is older than it is to be kept, after the log says so; also what an earlier
   * run left. @returns the last slot that is deleted; 0: none.
   */
  async deleteOld(cause: Cause): Promise<number> {
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
      if (!(await records.append(fact, cause))) return record.deleted?.slot ?? 0;
      record = await records.read();
      sink.info('a part of the archive is older than it is kept, and is deleted', { partition, slot, until });
    }
    const slot = record.deleted?.slot ?? 0;
    if (slot > 0) await this.#remove(slot);
    return slot;
  }

  /** The oldest first, so that what is left is one piece whenever it ends. */
  async #remove(upTo: number): Promise<void> {
    const { segments, objects } = this.#options;
    for (const { name, lastSlot } of await segments.list()) if (lastSlot <= upTo) await objects.remove(name);
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

  /** A segment that an earlier run left, if it is what the store has; undefined: none is. */
  async #adopted(
    listed: readonly ListedSegment[],
    from: number,
    limit: Limit,
  ): Promise<SegmentHeader | undefined> {
    const { segments, sink } = this.#options;
    for (const one of listed) {
      if (one.firstSlot !== from || one.lastSlot >= limit.slot || one.until >= limit.at) continue;
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
        if (next.value.slot !== slot || Buffer.compare(next.value.batch, batch) !== 0) return false;
      }
      return false;
    } finally {
      await archived.return(undefined);
    }
  }

  /** The next segment, read back; undefined when nothing is due. */
  async #written(from: number, limit: Limit): Promise<SegmentHeader | undefined> {
    const { driver, partition, segmentBytes = usualSegmentBytes, authenticity } = this.#options;
    const writer = new SegmentWriter();
    let about: SegmentAbout | undefined;
    for await (const stored of driver.read(partition, from)) {
      if (stored.slot >= limit.slot) break;
      const batch = await this.#options.decode(stored);
      const until = lastTime(batch);
      if (until >= limit.at) break;
      this.#checkNext(about, stored, batch, from);
      about = {
        ...(about ?? beginOf(batch)),
        lastSlot: batch.slot,
        lastPosition: batch.firstPosition + batch.events.length - 1,
        until,
        head: batch.hash.toString('hex'),
      };
      await writer.add(stored);
      if (writer.batchBytes >= segmentBytes) break;
    }
    if (about === undefined) return undefined;
    return this.#put(about, await writer.end(about, authenticity));
  }

  #checkNext(about: SegmentAbout | undefined, { slot }: StoredSlot, batch: Batch, from: number): void {
    const { partition } = this.#options;
    const expected = about === undefined ? from : about.lastSlot + 1;
    if (slot !== expected) throw damageError(damaged(partition, expected, 'it is missing'));
    if (about !== undefined && batch.previous.toString('hex') !== about.head)
      throw damageError(damaged(partition, slot, 'the chain is broken: it does not follow the batch before'));
  }

  /** Before anything is trimmed, what the archive gives back is compared with what it was given. */
  async #put(about: SegmentAbout, bytes: Buffer): Promise<SegmentHeader> {
    const { objects, partition, segments } = this.#options;
    const name = segmentName(partition, about);
    await objects.put(name, bytes);
    const back = await objects.get(name);
    if (back === undefined || Buffer.compare(back, bytes) !== 0)
      throw new CodedError(
        'unavailable',
        `the archive ${segments.place} does not give back what it was given as ${name}: nothing is taken out of the store`,
      );
    const listed = (await segments.list()).find((one) => one.name === name);
    if (listed === undefined)
      throw new CodedError(
        'unavailable',
        `the archive ${segments.place} does not list ${name}, which it took`,
      );
    return segments.header(listed);
  }

  /** Unless the log says so already. Returns what it says then. */
  async #tell(header: SegmentHeader, record: ArchiveRecord, cause: Cause): Promise<ArchiveRecord> {
    const { records, partition, segments } = this.#options;
    const { firstSlot, lastSlot: slot, lastPosition: position, head: hash, from, until } = header;
    let known = record;
    for (let attempt = 1; attempt <= attempts; attempt++) {
      if (chainAt(known, slot)?.hash === hash) return known;
      const fact = archivedFact({
        ...{ partition, firstSlot, slot, position, hash, from, until },
        place: segments.place,
      });
      await records.append(fact, cause);
      known = await records.read();
    }
    throw new CodedError('conflict', 'others told of the archive meanwhile, again and again');
  }
}

/** @throws CodedError `misconfigured` for an archive that has nothing of what the log says is there. */
function refuseStrange({ moved }: ArchiveRecord, listed: readonly ListedSegment[], place: string): void {
  if (moved.length === 0 || moved.some(({ slot }) => listed.some(({ lastSlot }) => lastSlot === slot)))
    return;
  throw new CodedError(
    'misconfigured',
    `${place} has none of the segments that the log says are in its archive (${moved.at(-1)?.place ?? ''}): is it mounted, and the right one?`,
  );
}

const withLater = (ms: number): number => ms + Math.min(ms / laterBy.part, laterBy.mostMs);

const lastTime = ({ events }: Batch): Instant => events.at(-1)?.cause.at ?? '';

const beginOf = (
  batch: Batch,
): Pick<SegmentAbout, 'partition' | 'firstSlot' | 'firstPosition' | 'from' | 'before'> => ({
  partition: batch.partition,
  firstSlot: batch.slot,
  firstPosition: batch.firstPosition,
  from: batch.events[0]?.cause.at ?? '',
  before: batch.previous.toString('hex'),
});
