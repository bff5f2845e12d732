import { CodedError } from '../base/errors.ts';
import type { ObjectStore } from '../base/object-store.ts';
import type { Instant } from '../base/time.ts';
import type { Authenticity } from './authenticity.ts';
import type { Batch } from './batch.ts';
import type { Partition } from './event.ts';
import { damaged, damageError } from './reader-condition.ts';
import { type SegmentAbout, type SegmentHeader, SegmentWriter } from './segment-format.ts';
import { segmentName } from './segment-name.ts';
import type { Segments } from './segments.ts';
import type { SlotDriver, StoredSlot } from './slot-driver.ts';

export interface WritingSegments {
  readonly driver: Pick<SlotDriver, 'read' | 'bounds'>;
  readonly partition: Partition;
  readonly objects: ObjectStore;
  readonly segments: Segments;
  readonly authenticity: Authenticity | undefined;
  /** As the reader of the partition does it. @throws CodedError `damaged` */
  readonly decode: (stored: StoredSlot) => Promise<Batch>;
  /** A segment is ended with this many bytes of batches. Default 64 MiB. */
  readonly segmentBytes?: number | undefined;
}

/** Where a segment ends at the latest. */
export interface Limit {
  /** This slot and those after it stay: a snapshot needs them. */
  readonly slot: number;
  /** What happened then, or later, stays; undefined: whenever it happened. */
  readonly at: Instant | undefined;
}

/** Another process moved the same, or took it out of the store: one has to look again. */
export class Overtaken extends Error {}

const usualSegmentBytes = 64 * 1024 * 1024;

/**
 * Puts the slots from `from` on into the archive, as one segment, and reads it back.
 * @param isWhole it ends with the last slot before the limit, however large it becomes.
 * @returns undefined when nothing is due.
 * @throws Overtaken; CodedError as `Archiving.moveOut`.
 */
export async function writeSegment(
  options: WritingSegments,
  from: number,
  limit: Limit,
  isWhole = false,
): Promise<SegmentHeader | undefined> {
  const { driver, partition, segmentBytes = usualSegmentBytes, authenticity } = options;
  const writer = new SegmentWriter();
  let about: SegmentAbout | undefined;
  for await (const stored of driver.read(partition, from)) {
    if (stored.slot >= limit.slot) break;
    const batch = await options.decode(stored);
    const until = lastTime(batch);
    if (limit.at !== undefined && until >= limit.at) break;
    await checkNext(options, about, { stored, batch, from });
    about = {
      ...(about ?? beginOf(batch)),
      lastSlot: batch.slot,
      lastPosition: batch.firstPosition + batch.events.length - 1,
      until,
      head: batch.hash.toString('hex'),
    };
    await writer.add(stored);
    if (!isWhole && writer.batchBytes >= segmentBytes) break;
  }
  if (about === undefined) return undefined;
  return put(options, about, await writer.end(about, authenticity));
}

async function checkNext(
  { driver, partition }: WritingSegments,
  about: SegmentAbout | undefined,
  {
    stored: { slot },
    batch,
    from,
  }: { readonly stored: StoredSlot; readonly batch: Batch; readonly from: number },
): Promise<void> {
  const expected = about === undefined ? from : about.lastSlot + 1;
  if (slot !== expected) {
    await requireAbove(driver, partition, expected);
    throw damageError(damaged(partition, expected, 'it is missing'));
  }
  if (about !== undefined && batch.previous.toString('hex') !== about.head)
    throw damageError(damaged(partition, slot, 'the chain is broken: it does not follow the batch before'));
}

/** @throws Overtaken when the slot is below the floor of the store. */
export async function requireAbove(
  driver: Pick<SlotDriver, 'bounds'>,
  partition: Partition,
  slot: number,
): Promise<void> {
  if (slot < (await driver.bounds(partition)).floor) throw new Overtaken();
}

/** Before anything is trimmed, what the archive gives back is compared with what it was given. */
async function put(
  { objects, partition, segments }: WritingSegments,
  about: SegmentAbout,
  bytes: Buffer,
): Promise<SegmentHeader> {
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
    throw new CodedError('unavailable', `the archive ${segments.place} does not list ${name}, which it took`);
  return segments.header(listed);
}

export const lastTime = ({ events }: Batch): Instant => events.at(-1)?.cause.at ?? '';

const beginOf = (
  batch: Batch,
): Pick<SegmentAbout, 'partition' | 'firstSlot' | 'firstPosition' | 'from' | 'before'> => ({
  partition: batch.partition,
  firstSlot: batch.slot,
  firstPosition: batch.firstPosition,
  from: batch.events[0]?.cause.at ?? '',
  before: batch.previous.toString('hex'),
});
