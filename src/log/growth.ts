import { isCoded } from '../base/errors.ts';
import { hour, type Instant, minute, msBetween, plusMs } from '../base/time.ts';
import { type Batch, decodeBatch } from './batch.ts';
import type { Partition } from './event.ts';
import { type ArchiveTimes, mostKeptMs } from './archive-times.ts';
import type { Room, SlotDriver, StoredSlot } from './slot-driver.ts';
import { indexBytesPerEvent } from './terms-folder.ts';

/** What was appended to a partition within a window, by the times and sizes on the log itself. */
export interface Growth {
  readonly from: Instant;
  readonly until: Instant;
  readonly events: number;
  /** As stored. With many slots an estimate, see `measured`. */
  readonly bytes: number;
  /** `sampled`: by some slots spread over the window. */
  readonly measured: 'whole' | 'sampled';
  /** Of a partition that goes into an archive: how long its events stay in the store. Milliseconds. */
  readonly keptMs?: number | undefined;
  /** Of such a partition whose archive is kept for ever: what its index grew by, which stays in the store. */
  readonly indexBytes?: number | undefined;
  /** Of such a partition: when the first event happened that the store has. */
  readonly since?: Instant | undefined;
}

const windowMs = 24 * hour;
/**
 * A shorter window is not enough to estimate a day. A trimmed partition is never older than some minutes, and
 * grows evenly.
 */
const leastMs = { kept: hour, trimmed: minute };
/** Up to this many slots are all read; with more, this many samples of this many slots each. */
const readWhole = 512;
const places = 64;
const slotsAtPlace = 8;

/**
 * How a partition grew in the 24 hours before `now`, or since it exists. Reads some slots, however large the
 * log. Undefined when too little is known, or a slot that it reads is damaged.
 */
export async function growthOf(
  driver: Pick<SlotDriver, 'read' | 'bounds' | 'snapshots'>,
  partition: Partition,
  { now, archive }: { readonly now: Instant; readonly archive?: ArchiveTimes | undefined },
): Promise<Growth | undefined> {
  const { floor, head } = await driver.bounds(partition);
  if (head < floor) return undefined;
  const slots = { partition, first: floor, head };
  try {
    const growth = await measure(driver, slots, now);
    if (growth === undefined || archive === undefined) return growth;
    const first = await batchAt(driver, slots, floor);
    // It goes with what is deleted.
    const perEvent = archive.retentionMs === undefined ? await indexBytesPerEvent(driver, partition) : 0;
    return {
      ...growth,
      keptMs: archive.keptMs,
      indexBytes: Math.round(perEvent * growth.events),
      since: first && timeOf(first),
    };
  } catch (e) {
    // What is damaged is reported elsewhere, by name.
    if (isCoded(e, 'damaged')) return undefined;
    throw e;
  }
}

interface Slots {
  readonly partition: Partition;
  readonly first: number;
  readonly head: number;
}

async function measure(
  driver: Pick<SlotDriver, 'read'>,
  slots: Slots,
  now: Instant,
): Promise<Growth | undefined> {
  const since = plusMs(now, -windowMs);
  const from = await firstSince(driver, slots, since);
  if (from === undefined) return { from: since, until: now, events: 0, bytes: 0, measured: 'whole' };
  const [begin, end] = [await batchAt(driver, slots, from), await batchAt(driver, slots, slots.head)];
  if (begin === undefined || end === undefined) return undefined;
  const wholeWindow = from > slots.first;
  const beganAt = wholeWindow ? since : timeOf(begin);
  if (msBetween(beganAt, now) < (slots.first > 1 ? leastMs.trimmed : leastMs.kept)) return undefined;
  const events = end.firstPosition + end.events.length - begin.firstPosition;
  return { from: beganAt, until: now, events, ...(await bytesOf(driver, { ...slots, first: from })) };
}

/**
 * The first slot that was written since then, by bisection: times on a log go up, apart from the clocks of
 * several writers.
 */
async function firstSince(
  driver: Pick<SlotDriver, 'read'>,
  slots: Slots,
  since: Instant,
): Promise<number | undefined> {
  let [low, high] = [slots.first, slots.head + 1];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const batch = await batchAt(driver, slots, middle);
    if (batch === undefined || timeOf(batch) >= since) high = middle;
    else low = middle + 1;
  }
  return low > slots.head ? undefined : low;
}

const timeOf = ({ events }: Batch): Instant => events[0]?.cause.at ?? '';

async function batchAt(
  driver: Pick<SlotDriver, 'read'>,
  { partition }: Slots,
  slot: number,
): Promise<Batch | undefined> {
  const [found] = await some(driver, partition, slot, 1);
  return found === undefined ? undefined : decodeBatch(found.batch);
}

async function some(
  driver: Pick<SlotDriver, 'read'>,
  partition: Partition,
  from: number,
  most: number,
): Promise<StoredSlot[]> {
  const found: StoredSlot[] = [];
  for await (const stored of driver.read(partition, from)) {
    found.push(stored);
    if (found.length >= most) break;
  }
  return found;
}

async function bytesOf(
  driver: Pick<SlotDriver, 'read'>,
  { partition, first, head }: Slots,
): Promise<Pick<Growth, 'bytes' | 'measured'>> {
  const count = head - first + 1;
  const sum = (slots: readonly StoredSlot[]): number =>
    slots.reduce((all, { batch }) => all + batch.length, 0);
  if (count <= readWhole)
    return { bytes: sum(await some(driver, partition, first, count)), measured: 'whole' };
  let [bytes, seen] = [0, 0];
  for (let place = 0; place < places; place++) {
    const from = first + Math.floor((place * (count - slotsAtPlace)) / (places - 1));
    const found = await some(driver, partition, from, slotsAtPlace);
    bytes += sum(found);
    seen += found.length;
  }
  return { bytes: Math.round((bytes / Math.max(1, seen)) * count), measured: 'sampled' };
}

/**
 * How long a store has space at the growth of the kept partitions: `presence` is trimmed, and does not keep
 * growing.
 */
export type Outlook =
  | {
      readonly status: 'lasts';
      readonly freeBytes: number;
      readonly of: 'disk' | 'quota';
      readonly bytesPerDay: number;
      /** Undefined when nothing grows. */
      readonly days: number | undefined;
    }
  | { readonly status: 'without end' }
  | { readonly status: 'not known'; readonly why: string };

const day = 24 * hour;
/** Bytes a day at the pace of the window. */
export const perDay = ({ from, until, bytes }: Growth): number =>
  Math.round((bytes * day) / Math.max(1, msBetween(from, until)));

/** Those that are never trimmed: what they hold only grows. */
export const keptPartitions = ['state', 'audit'] as const satisfies readonly Partition[];

/**
 * @param room undefined: the store says nothing of it.
 * @param kept the growth of the partitions that are kept.
 */
export function outlookOf(room: Room | undefined, kept: readonly (Growth | undefined)[]): Outlook {
  if (room?.status === 'without end') return room;
  if (room === undefined || room.status === 'not known')
    return { status: 'not known', why: 'the store does not report how much is left' };
  const known = kept.filter((one) => one !== undefined);
  if (known.length < kept.length)
    return { status: 'not known', why: 'the log is too young to measure how fast it grows' };
  const { freeBytes, of } = room;
  const growing = known.flatMap(apart).filter((one) => leftToGrow(one) > 0 && one.bytes > 0);
  const bytesPerDay = growing.reduce((sum, one) => sum + perDay(one), 0);
  const days = daysUntilFull(freeBytes, growing);
  return {
    status: 'lasts',
    freeBytes,
    of,
    bytesPerDay,
    days: days === undefined ? undefined : Math.floor(days * 10) / 10,
  };
}

/** What goes into an archive, and its index, which does not. */
const apart = (one: Growth): readonly Growth[] =>
  one.indexBytes === undefined ? [one] : [one, { ...one, bytes: one.indexBytes, keptMs: undefined }];

/**
 * For how many days it will still grow at its pace: then as much goes into its archive as comes. Infinite
 * where it goes nowhere.
 */
function leftToGrow({ keptMs, since, until }: Growth): number {
  if (keptMs === undefined) return Number.POSITIVE_INFINITY;
  const ageMs = since === undefined ? 0 : msBetween(since, until);
  return ageMs >= keptMs ? 0 : (mostKeptMs(keptMs) - ageMs) / day;
}

/** Undefined: never. */
function daysUntilFull(freeBytes: number, growing: readonly Growth[]): number | undefined {
  let [left, after] = [freeBytes, 0];
  // Those that stop first, first.
  const byEnd = [...growing].sort((a, b) => leftToGrow(a) - leftToGrow(b));
  for (const [i, one] of byEnd.entries()) {
    const pace = byEnd.slice(i).reduce((sum, other) => sum + perDay(other), 0);
    if (pace === 0) return undefined;
    const days = leftToGrow(one) - after;
    if (left <= pace * days) return after + left / pace;
    left -= pace * days;
    after += days;
  }
  return undefined;
}
