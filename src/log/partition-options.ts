import type { LogSink } from '../base/log-sink.ts';
import type { ObjectStore } from '../base/object-store.ts';
import type { World } from '../base/world.ts';
import type { ArchiveTimes } from './archive-times.ts';
import type { ArchiveRecords } from './segment-record.ts';
import type { Segments } from './segments.ts';
import type { Authenticity } from './authenticity.ts';
import type { KnownPlace } from './reader-options.ts';
import type { Sealing } from './sealing.ts';
import type { SlotDriver } from './slot-driver.ts';

/** The archive of one partition of an open log. */
export interface PartitionArchive extends ArchiveTimes {
  readonly objects: ObjectStore;
  readonly segments: Segments;
  readonly records: ArchiveRecords;
  /** The store itself. */
  readonly driver: SlotDriver;
  readonly segmentBytes?: number | undefined;
}

export interface PartitionLogOptions {
  readonly driver: SlotDriver;
  readonly sealing: Sealing;
  readonly world: World;
  readonly writer: string;
  readonly sink: LogSink;
  readonly pollMs: number;
  readonly settleMs: number;
  readonly maxWaiting: number;
  readonly maxWaitingBytes: number;
  readonly recentBytes: number;
  /** What the store is known to have held of this partition; see `ReaderOptions.known`. */
  readonly known?: KnownPlace | undefined;
  /** Makes and checks MACs; without it none is checked, and nothing can be appended where there are any. */
  readonly authenticity?: Authenticity | undefined;
  /** Where this partition goes; `driver` then reads from there as well. */
  readonly archive?: PartitionArchive | undefined;
}
