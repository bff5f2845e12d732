import type { Observable } from 'rxjs';
import { CodedError } from '../base/errors.ts';
import type { Partition } from './event.ts';

/**
 * Numbered slots, each written after a named predecessor, and a few small values: all that a store has to
 * provide. The log does the rest. `backends/conformance/driver.ts` tests the promises of each call on every
 * store, and the reasons are in `docs/rfd/0018-what-a-store-promises.md`.
 *
 * Outcomes are unknown until a driver proves them. A driver throws `ambiguous` for every write whose end it
 * cannot prove, and any other coded error only where the store's protocol, or a read after the store's reply,
 * shows that nothing was written and that nothing of it is still on its way.
 */
export interface SlotDriver {
  readonly limits: {
    readonly maxBatchBytes: number;
    /** How often followers read without a hint, where the store has a better interval than the log's own. */
    readonly pollMs?: number;
  };
  /**
   * Writes `batch` into the slot after `after.slot`, if that slot is free, is not below the floor, and
   * `after` is still what the store holds. Durable when it answers `committed`.
   * @throws CodedError `ambiguous` when the outcome is unknown; any other code: proved, nothing was written.
   */
  append(partition: Partition, after: Place, batch: Uint8Array): Promise<Appended>;
  /**
   * For copying a log into a store that nobody has opened: each slot is written if absent, whatever is before
   * it; an existing one stays. Durable when it resolves; may be repeated. The caller reads back.
   * @throws CodedError as `append`; then any of them may have been written.
   */
  load(partition: Partition, slots: readonly StoredSlot[]): Promise<void>;
  /**
   * Slots from `from` or from the floor on, whichever is later, in order, paged by bytes. Linearizable: holds
   * everything that was committed before the call. A slot that is passed over is missing: that is damage,
   * never a race.
   * @param after own hash of the batch in slot `from - 1`. When it is given and that slot is not below the
   *   floor, the store must still hold that batch: at once with the first page, before anything is handed
   *   out.
   * @throws StoreWentBack when it holds another, or none. CodedError `unavailable`.
   */
  read(partition: Partition, from: number, after?: Uint8Array): AsyncIterable<StoredSlot>;
  /** Linearizable. @throws CodedError `unavailable`. */
  bounds(partition: Partition): Promise<Bounds>;
  /**
   * Something may have been committed. Hints may be lost, late or repeated: each is only a reason to read.
   */
  hints(partition: Partition): Observable<void>;
  /**
   * Raises the floor to `before`, durably, and then deletes the slots before it; slots left by an interrupted
   * call are deleted as well. A floor never goes down, and is never above the newest slot + 1.
   */
  trim(partition: Partition, before: number): Promise<void>;
  /** Data keys: small. A destroyed one never comes back. */
  readonly vault: BlobStore;
  /** Large values, cut into pieces under the limits by the driver. */
  readonly snapshots: BlobStore;
  /** The store's own keyring, and marks: small. */
  readonly meta: BlobStore;
  /** What is known now, without asking the store. */
  report(): StoreReport;
  close(): Promise<void>;
}

/** A slot, and the own hash (the last 32 bytes) of the batch in it. Slot 0 with zeros: before the first. */
export interface Place {
  readonly slot: number;
  readonly hash: Uint8Array;
}

export type Appended =
  | { readonly status: 'committed' }
  /**
   * The slot holds a batch: another writer's, or this one by an earlier try. `head`: the newest slot that was
   * seen, at least this one. May be answered as well when the predecessor has changed: reading shows which.
   */
  | { readonly status: 'taken'; readonly head: number }
  /** The slot was trimmed: the caller has missed a trim. */
  | { readonly status: 'below floor'; readonly floor: number }
  /** The store does not hold the predecessor: it holds another batch there, or none. Nothing was written. */
  | { readonly status: 'predecessor changed' };

export interface Bounds {
  /** Slots before it were trimmed, whether they are deleted yet or not. At least 1. */
  readonly floor: number;
  /** The newest slot; `floor - 1` when there is none. */
  readonly head: number;
}

/**
 * The store no longer holds what was read from it: it was restored from a backup, or written by somebody
 * else.
 */
export class StoreWentBack extends CodedError {
  readonly partition: Partition;
  /** The slot for which the reader knows another batch, or that is gone. */
  readonly slot: number;
  constructor(partition: Partition, slot: number) {
    super(
      'unavailable',
      `the store no longer holds slot ${slot} of the ${partition} log as it was read from it`,
    );
    this.partition = partition;
    this.slot = slot;
  }
}

/**
 * What an operator should know about a store: in `tctl status`, `tctl log info`, `/metrics` and, when in
 * trouble, `/readyz`.
 */
export interface StoreReport {
  /** `dir`, `etcd`, `dynamodb`. */
  readonly type: string;
  /** Where it is, as the operator wrote it; never a secret. */
  readonly place: string;
  /**
   * Whether it accepts writes that decisions need (`state` and its secrets), as far as is known; `refused`:
   * `trouble` has the reason.
   */
  readonly writes: 'taken' | 'refused';
  /** Why it accepts no writes, or soon will not, and what to do about it. */
  readonly trouble: string | undefined;
  /** Counters and gauges of this store, in the form of metric names: `size_bytes`, `throttled_requests`. */
  readonly figures: Readonly<Record<string, number>>;
  /** Its free space; absent when it does not report that. */
  readonly room?: Room;
}

/** `disk`: of the file system; `quota`: the store's own limit. DynamoDB grows without limit. */
export type Room =
  | { readonly status: 'known'; readonly freeBytes: number; readonly of: 'disk' | 'quota' }
  | { readonly status: 'without end' }
  | { readonly status: 'not known' };

export interface StoredSlot {
  readonly slot: number;
  readonly batch: Uint8Array;
}

/** Largest value that `replace` accepts, before and after. */
export const maxReplacedBytes = 16 * 1024;

/**
 * Named values. Nothing is ever overwritten blindly: a request that arrives late, after its repetition or
 * after a later write, changes nothing. Lost replies are settled by reading, inside the driver; whatever it
 * throws, each call may be repeated. The version of a value is the value itself: equal bytes count as the
 * same version.
 */
export interface BlobStore {
  /** Also `created` when the key already has exactly this value. */
  create(key: string, value: Uint8Array): Promise<'created' | 'exists' | 'destroyed'>;
  /** Also `replaced` when the key already has `to`. `changed`: it has neither, or nothing. */
  replace(key: string, from: Uint8Array, to: Uint8Array): Promise<'replaced' | 'changed'>;
  /** Undefined for a value that does not exist, was destroyed, or is not complete. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** For good: leaves a tombstone, even where nothing was, so that the key can never be created again. */
  destroy(key: string): Promise<void>;
  /** Without a tombstone: for values that may come back without harm, such as snapshots of earlier slots. */
  remove(key: string): Promise<void>;
  /** Keys that begin with `prefix`, sorted, without those that were destroyed. */
  list(prefix: string): Promise<string[]>;
}

/** For drivers: refuses values that `replace` does not accept. @throws CodedError `limit_exceeded` */
export function refuseLargeReplacement(from: Uint8Array, to: Uint8Array): void {
  if (Math.max(from.length, to.length) > maxReplacedBytes)
    throw new CodedError(
      'limit_exceeded',
      `a value of more than ${maxReplacedBytes} bytes cannot be replaced`,
    );
}
