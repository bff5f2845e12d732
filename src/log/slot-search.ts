import type { Instant } from '../base/time.ts';
import type { Batch } from './batch.ts';
import type { Position } from './event.ts';
import type { PartitionFold, SlotBegin } from './partition-fold.ts';

/** So many small slots are one page of a store: to look for one among them costs more than to read them. */
const pageSlots = 64;

interface Reader {
  readonly fold: Pick<PartitionFold, 'between'>;
  /** Undefined for one that was trimmed, or is damaged. */
  batchAt(slot: number): Promise<Batch | undefined>;
}

/** The slot to begin at for events after `after`: it, or one shortly after it, holds the next event. */
export const slotBefore = (reader: Reader, after: Position): Promise<number> =>
  lastSlot(reader, (begin) => begin.firstPosition <= after + 1);

/** The same for events at or after a time, which never goes back within a partition. */
export const slotBeforeMoment = (reader: Reader, at: Instant): Promise<number> =>
  lastSlot(reader, (begin) => begin.firstAt < at);

/**
 * The last slot of which something holds that ceases to hold somewhere, or one shortly before it. Signposts
 * are far apart in a long log: between them single slots are read.
 */
async function lastSlot(reader: Reader, holds: (begin: SlotBegin) => boolean): Promise<number> {
  let { first, end } = reader.fold.between(holds);
  while (end - first > pageSlots) {
    const middle = (first + end) >>> 1;
    const begin = beginOf(await reader.batchAt(middle));
    // Who reads from `first` on begins after what was trimmed, and learns of what is damaged.
    if (begin === undefined) break;
    if (holds(begin)) first = middle;
    else end = middle;
  }
  return first;
}

function beginOf(batch: Batch | undefined): SlotBegin | undefined {
  const first = batch?.events[0];
  return batch && first && { firstPosition: batch.firstPosition, firstAt: first.cause.at };
}
