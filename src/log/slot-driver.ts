import type { Observable } from 'rxjs';
import type { Partition } from './event.ts';

/** Numbered slots, written if absent, and a few blobs: all that a store has to do. The log does the rest. */
export interface SlotDriver {
  readonly limits: {
    readonly maxBatchBytes: number;
    /** How often followers look without a hint, where the store has a better measure than the log's own. */
    readonly pollMs?: number;
  };
  /**
   * Durable when it resolves. Slots are 1, 2, 3, …
   * @throws CodedError `ambiguous` when the outcome is unknown; `no_space`, `unavailable` when nothing was written.
   */
  commit(partition: Partition, slot: number, batch: Uint8Array): Promise<'committed' | 'taken'>;
  /**
   * Many commits at once, for who copies a log: each slot is written if absent, what is there stays. Where a store has no
   * faster way than `commit`, it is left out. Durable when it resolves; may be repeated. The caller reads back.
   * @throws CodedError as `commit`; then any of them may have been written.
   */
  load?(partition: Partition, slots: readonly StoredSlot[]): Promise<void>;
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
  /** What is known now, without asking the store. */
  report(): StoreReport;
  close(): Promise<void>;
}

/** What an operator should know of a store: in `tctl status`, `tctl log info`, `/metrics` and, when in trouble, `/readyz`. */
export interface StoreReport {
  /** `dir`, `etcd`, `dynamodb`. */
  readonly type: string;
  /** Where it is, as the operator wrote it; never a secret. */
  readonly place: string;
  /** Why it takes no writes, or soon will not, and what to do about it. */
  readonly trouble: string | undefined;
  /** Counters and gauges of this store, in the form of metric names: `size_bytes`, `throttled_requests`. */
  readonly figures: Readonly<Record<string, number>>;
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
