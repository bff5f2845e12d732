import type { Observable } from 'rxjs';
import { CodedError } from '../base/errors.ts';
import type { Partition } from './event.ts';

/**
 * Numbered slots, each written after a named predecessor, and a few small values: all that a store has to do.
 * The log does the rest. What each call promises is held by `backends/conformance/driver.ts` on every store,
 * and the reasons are in `docs/rfd/0018-what-a-store-promises.md`.
 *
 * Outcomes are unknown until a driver proves them. A driver throws `ambiguous` for every write whose end it
 * cannot prove, and any other coded error only where the store's protocol, or a read after the store's
 * answer, shows that nothing was written and that nothing of it is still on its way.
 */
export interface SlotDriver {
  readonly limits: {
    readonly maxBatchBytes: number;
    /** How often followers look without a hint, where the store has a better measure than the log's own. */
    readonly pollMs?: number;
  };
  /**
   * Writes `batch` into the slot after `after.slot`, if that slot is free, is not below the floor, and
   * `after` is still what the store holds. Durable when it answers `committed`.
   * @throws CodedError `ambiguous` when the outcome is unknown; any other code: proved, nothing was written.
   */
  append(partition: Partition, after: Place, batch: Uint8Array): Promise<Appended>;
  /**
   * For whoever copies a log into a store that nobody has opened: each slot is written if absent, whatever is
   * before it; what is there stays. Durable when it resolves; may be repeated. The caller reads back.
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
  /** Something may have been committed. May be lost, late, repeated: never more than a reason to read. */
  hints(partition: Partition): Observable<void>;
  /**
   * Raises the floor to `before`, durably, and then gives up the slots before it; what was left by a call
   * that ended half way is given up as well. A floor never goes down, and is never above the newest slot + 1.
   */
  trim(partition: Partition, before: number): Promise<void>;
  /** Data keys: small. What is destroyed never comes again. */
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
  /** The slot was given up: whoever asks has slept over a trim. */
  | { readonly status: 'below floor'; readonly floor: number }
  /** The store does not hold the predecessor: it holds another batch there, or none. Nothing was written. */
  | { readonly status: 'predecessor changed' };

export interface Bounds {
  /** Slots before it were given up, whether they are deleted yet or not. At least 1. */
  readonly floor: number;
  /** The newest slot; `floor - 1` when there is none. */
  readonly head: number;
}

/**
 * The store no longer holds what was read from it: it was put back to an earlier state, or written by
 * somebody else.
 */
export class StoreWentBack extends CodedError {
  readonly partition: Partition;
  /** The slot that the reader knows with another batch, or that is gone. */
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
 * What an operator should know of a store: in `tctl status`, `tctl log info`, `/metrics` and, when in
 * trouble, `/readyz`.
 */
export interface StoreReport {
  /** `dir`, `etcd`, `dynamodb`. */
  readonly type: string;
  /** Where it is, as the operator wrote it; never a secret. */
  readonly place: string;
  /**
   * Whether it takes what decisions need (`state` and its secrets), as far as is known; `refused`: `trouble`
   * says why not.
   */
  readonly writes: 'taken' | 'refused';
  /** Why it takes no writes, or soon will not, and what to do about it. */
  readonly trouble: string | undefined;
  /** Counters and gauges of this store, in the form of metric names: `size_bytes`, `throttled_requests`. */
  readonly figures: Readonly<Record<string, number>>;
  /** How much it still takes; absent when it does not report it. */
  readonly room?: Room;
}

/** `disk`: of the file system; `quota`: of what the store itself allows. DynamoDB grows without an end. */
export type Room =
  | { readonly status: 'known'; readonly freeBytes: number; readonly of: 'disk' | 'quota' }
  | { readonly status: 'without end' }
  | { readonly status: 'not known' };

export interface StoredSlot {
  readonly slot: number;
  readonly batch: Uint8Array;
}

/** Largest value that `replace` takes, before and after. */
export const maxReplacedBytes = 16 * 1024;

/**
 * Named values. Nothing is ever overwritten blindly: a request that arrives late, after its repetition or
 * after a later write, changes nothing. Lost answers are settled by reading, inside the driver; whatever it
 * throws, each call may be repeated. The version of a value is the value itself: equal bytes count as the
 * same version.
 */
export interface BlobStore {
  /** `created` as well when the key holds just this value already. */
  create(key: string, value: Uint8Array): Promise<'created' | 'exists' | 'destroyed'>;
  /** `replaced` as well when the key holds `to` already. `changed`: it holds neither, or nothing. */
  replace(key: string, from: Uint8Array, to: Uint8Array): Promise<'replaced' | 'changed'>;
  /** Undefined for what does not exist, was destroyed, or is not whole. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** For good: leaves a tombstone, also where nothing was, so that the key can never be created again. */
  destroy(key: string): Promise<void>;
  /** Without a tombstone: for values whose return would do no harm, such as snapshots of earlier slots. */
  remove(key: string): Promise<void>;
  /** Keys that begin with `prefix`, sorted, without those that were destroyed. */
  list(prefix: string): Promise<string[]>;
}

/** For drivers: what `replace` does not take. @throws CodedError `limit_exceeded` */
export function refuseLargeReplacement(from: Uint8Array, to: Uint8Array): void {
  if (Math.max(from.length, to.length) > maxReplacedBytes)
    throw new CodedError(
      'limit_exceeded',
      `a value of more than ${maxReplacedBytes} bytes cannot be replaced`,
    );
}
