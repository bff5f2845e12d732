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
  /** The newest fold that was kept and still joins on to the store. */
  readonly restore: () => Promise<PartitionFold | undefined>;
  /** Told of each fold that the reader begins with. */
  readonly begun?: (fold: PartitionFold) => void;
  /** Decoded batches that are held, in stored bytes. */
  readonly recentBytes: number;
  /** What the store is known to have held: one that does not hold it any more has gone back. */
  readonly known?: KnownPlace | undefined;
  /** What checks MACs. Without it they are not checked: for those who only look, or copy. */
  readonly authenticity?: Authenticity | undefined;
}

/** What is known, from elsewhere, of what a store held. */
export interface KnownPlace extends Place {
  /** Its batches had MACs there: if none has one now, somebody without the key rewrote it. */
  readonly authentic?: boolean;
  /** Of the key that they were under, in hexadecimal; the vault may hold no other since. */
  readonly macKeyId?: string | undefined;
}

/** What a listener hears: the next batch, or that what it followed is not what the store holds any more. */
export type News = Batch | 'trimmed beneath' | 'went back';

/** For whoever asks for what is no longer there. */
export const tooOld = (partition: Partition, after: Position | undefined): CodedError =>
  new CodedError(
    'cursor_too_old',
    after === undefined
      ? `part of the ${partition} log was trimmed beneath the reader`
      : `the ${partition} log no longer holds what came after position ${after}`,
  );
