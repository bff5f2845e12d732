import { CodedError } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import type { Authenticity } from './authenticity.ts';
import type { Batch } from './batch.ts';
import type { Partition, Position } from './event.ts';
import type { PartitionFold } from './partition-fold.ts';
import type { Place, SlotDriver } from './slot-driver.ts';

export interface ReaderOptions {
  readonly driver: SlotDriver;
  readonly partition: Partition;
  readonly sink: LogSink;
  readonly world: Pick<World, 'monotonic'>;
  /** The newest fold in a snapshot that still joins the store. */
  readonly restore: () => Promise<PartitionFold | undefined>;
  /** Called with each fold that the reader begins with. */
  readonly begun?: (fold: PartitionFold) => void;
  /** Decoded batches that are kept, in stored bytes. */
  readonly recentBytes: number;
  /** What the store is known to have held: one that does not hold it any more has gone back. */
  readonly known?: KnownPlace | undefined;
  /** Checks MACs. Without it they are not checked: for reading only, or copying. */
  readonly authenticity?: Authenticity | undefined;
}

/** What is known, from elsewhere, about the earlier content of a store. */
export interface KnownPlace extends Place {
  /** Its batches had MACs there: if none has one now, somebody without the key rewrote it. */
  readonly authentic?: boolean;
  /** The id of their key, in hexadecimal; the vault may have lost it since. */
  readonly macKeyId?: string | undefined;
}

/** What a listener receives: the next batch, or that the store's content has changed under it. */
export type News = Batch | 'trimmed beneath' | 'went back';

/** For a caller that asks for events that are gone. */
export const tooOld = (partition: Partition, after: Position | undefined): CodedError =>
  new CodedError(
    'cursor_too_old',
    after === undefined
      ? `part of the ${partition} log was trimmed beneath the reader`
      : `the ${partition} log no longer holds what came after position ${after}`,
  );
