import type { ObjectStore } from '../base/object-store.ts';
import { ArchiveRecords, movedUpTo } from './segment-record.ts';
import { Archiving } from './archiving.ts';
import type { Authenticity } from './authenticity.ts';
import type { Batch } from './batch.ts';
import type { ArchiveTimes } from './archive-times.ts';
import type { ArchiveReport, EventLog, LogArchive } from './event-log.ts';
import type { Partition } from './event.ts';
import { type ListedSegment, Segments } from './segments.ts';
import type { PartitionArchive, PartitionLogOptions } from './partition-options.ts';
import type { SlotDriver, StoredSlot } from './slot-driver.ts';

/** @param parts `state` is where the log tells of its archive. */
export function openArchiveOf(
  partition: Partition,
  parts: ArchiveTimes & {
    readonly objects: ObjectStore;
    readonly driver: SlotDriver;
    readonly state: Pick<EventLog, 'read' | 'append' | 'revision'>;
    readonly authenticity?: Authenticity | undefined;
    readonly segmentBytes?: number | undefined;
  },
): PartitionArchive {
  const { objects, driver, keptMs, retentionMs, segmentBytes, authenticity } = parts;
  const records = new ArchiveRecords(parts.state, partition);
  const segments = new Segments({ objects, partition, authenticity, record: () => records.read() });
  return { objects, segments, records, driver, keptMs, retentionMs, segmentBytes };
}

/** What moves a partition to its archive; undefined where it has none. `decode` as the reader does it. */
export const archivingOf = (
  partition: Partition,
  { archive, authenticity, world, sink }: PartitionLogOptions,
  decode: (stored: StoredSlot) => Promise<Batch>,
): Archiving | undefined =>
  archive && new Archiving({ ...archive, partition, authenticity, world, sink, decode });

/** See `ClusterLog.archive`. */
export function archiveOf(
  archive: PartitionArchive | undefined,
  archiving: Archiving | undefined,
): LogArchive | undefined {
  if (archive === undefined || archiving === undefined) return undefined;
  const { keptMs, retentionMs, segments, records } = archive;
  return {
    keptMs,
    retentionMs,
    isDue: () => archiving.isDue(),
    report: () => reportArchive(segments, records),
  };
}

/** See `LogArchive.report`. Lists the segments; does not read them. */
async function reportArchive(segments: Segments, records: ArchiveRecords): Promise<ArchiveReport> {
  const record = await records.read();
  const listed = await segments.list();
  const gone = record.deleted?.slot ?? 0;
  const kept = listed.filter(({ lastSlot }) => lastSlot > gone);
  const [first, last] = [kept[0], kept.at(-1)];
  return {
    place: segments.place,
    segments: kept.length,
    bytes: kept.reduce((sum, one) => sum + one.bytes, 0),
    firstSlot: first?.firstSlot ?? 0,
    lastSlot: last?.lastSlot ?? 0,
    from: first?.from,
    until: last?.until,
    deletedUntil: record.deleted?.until,
    fault: firstGap(kept, gone + 1, movedUpTo(record)),
  };
}

function firstGap(kept: readonly ListedSegment[], from: number, to: number): string | undefined {
  let next = from;
  for (const { firstSlot, lastSlot } of kept) {
    if (firstSlot > next && next <= to) break;
    next = Math.max(next, lastSlot + 1);
  }
  if (next > to) return undefined;
  const after = kept.find(({ firstSlot }) => firstSlot > next);
  return `slots ${next} to ${Math.min(to, (after?.firstSlot ?? to + 1) - 1)} are in no segment`;
}
