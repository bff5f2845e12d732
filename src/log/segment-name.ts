import type { Instant } from '../base/time.ts';
import { instant } from '../base/time.ts';
import type { Partition } from './event.ts';

/** What the name of a segment says: enough to choose, not to believe. */
export interface SegmentName {
  readonly name: string;
  readonly firstSlot: number;
  readonly lastSlot: number;
  /** Times of its first and last event, by the log. */
  readonly from: Instant;
  readonly until: Instant;
}

export const segmentFolder = (partition: Partition): string => `${partition}/`;

const slotDigits = 16;
const slotText = (slot: number): string => String(slot).padStart(slotDigits, '0');
/** Neither `:` nor a second dot: names are also names of files. */
const timeText = (at: Instant): string => at.replaceAll(/[-:.]/g, '');
const shape = /^(\d{16})-(\d{16})-(\d{8}T\d{9}Z)-(\d{8}T\d{9}Z)\.segment$/;

/** Sorts as the slots do. The same range has the same name. */
export const segmentName = (
  partition: Partition,
  { firstSlot, lastSlot, from, until }: Omit<SegmentName, 'name'>,
): string =>
  `${segmentFolder(partition)}${slotText(firstSlot)}-${slotText(lastSlot)}-${timeText(from)}-${timeText(until)}.segment`;

/** Undefined for a name that `segmentName` does not make. */
export function readSegmentName(partition: Partition, name: string): SegmentName | undefined {
  const folder = segmentFolder(partition);
  const [, first = '', last = '', from = '', until = ''] = name.startsWith(folder)
    ? (shape.exec(name.slice(folder.length)) ?? [])
    : [];
  const read = {
    name,
    firstSlot: Number(first),
    lastSlot: Number(last),
    from: instantOf(from),
    until: instantOf(until),
  };
  const isSound =
    read.firstSlot >= 1 &&
    read.lastSlot >= read.firstSlot &&
    Number.isSafeInteger(read.lastSlot) &&
    [read.from, read.until].every((at) => instant.safeParse(at).success);
  return isSound ? read : undefined;
}

const instantOf = (text: string): Instant =>
  text.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z$/, '$1-$2-$3T$4:$5:$6.$7Z');
