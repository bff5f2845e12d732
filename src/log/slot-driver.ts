import type { Observable } from 'rxjs';
import type { Partition } from './event.ts';

/** Numbered slots, written if absent, and a few blobs: all that a store has to do. The log does the rest. */
export interface SlotDriver {
  readonly limits: { readonly maxBatchBytes: number };
  /**
   * Durable when it resolves. Slots are 1, 2, 3, …
   * @throws CodedError `ambiguous` when the outcome is unknown; `no_space`, `unavailable` when nothing was written.
   */
  commit(partition: Partition, slot: number, batch: Uint8Array): Promise<'committed' | 'taken'>;
  /** Slots from `from` on, consistent, in order, paged by bytes. Begins later than `from` when those were trimmed. */
  read(partition: Partition, from: number): AsyncIterable<StoredSlot>;
  /** Something may have been committed. May be lost, late, repeated: never more than a reason to read. */
  hints(partition: Partition): Observable<void>;
  /** Forgets the slots before `before`. */
  trim(partition: Partition, before: number): Promise<void>;
  /** Data keys: small, deletable. */
  readonly vault: BlobStore;
  /** Large values, cut into pieces under the limits by the driver. */
  readonly snapshots: BlobStore;
  close(): Promise<void>;
}

export interface StoredSlot {
  readonly slot: number;
  readonly batch: Uint8Array;
}

export interface BlobStore {
  put(key: string, value: Uint8Array): Promise<void>;
  get(key: string): Promise<Uint8Array | undefined>;
  delete(key: string): Promise<void>;
  /** Keys that begin with `prefix`, sorted. */
  list(prefix: string): Promise<string[]>;
}
