import { CodedError, type ErrorCode, isCoded, messageOf } from '../../src/base/errors.ts';
import type { Partition } from '../../src/log/event.ts';
import {
  type Appended,
  type Bounds,
  type Place,
  type StoredSlot,
  StoreWentBack,
} from '../../src/log/slot-driver.ts';

/**
 * The requests to the worker thread, and its replies. Both ends are this program, so nothing is checked
 * twice.
 */
export interface Calls {
  open: { args: { path: string; mode: 'write' | 'read' }; answer: undefined };
  append: { args: { partition: Partition; after: Place; batch: Uint8Array }; answer: Appended };
  load: { args: { partition: Partition; slots: readonly StoredSlot[] }; answer: undefined };
  page: { args: PageRequest; answer: StoredSlot[] };
  bounds: { args: { partition: Partition }; answer: Bounds };
  trim: { args: { partition: Partition; before: number }; answer: undefined };
  create: {
    args: { table: BlobTable; key: string; value: Uint8Array };
    answer: 'created' | 'exists' | 'destroyed';
  };
  replace: {
    args: { table: BlobTable; key: string; from: Uint8Array; to: Uint8Array };
    answer: 'replaced' | 'changed';
  };
  get: { args: { table: BlobTable; key: string }; answer: Uint8Array | undefined };
  destroy: { args: { table: BlobTable; key: string }; answer: undefined };
  remove: { args: { table: BlobTable; key: string }; answer: undefined };
  list: { args: { table: BlobTable; prefix: string }; answer: string[] };
  close: { args: undefined; answer: undefined };
}

export interface PageRequest {
  readonly partition: Partition;
  readonly from: number;
  /** Own hash of slot `from - 1`, as the reader knows it. */
  readonly after: Uint8Array | undefined;
  readonly maxBytes: number;
}

export type Operation = keyof Calls;
export type BlobTable = 'vault' | 'snapshots' | 'meta';

const writes = ['append', 'load', 'trim', 'create', 'replace', 'destroy', 'remove'] as const;
export type Writing = (typeof writes)[number];
export const isWriting = (operation: Operation): operation is Writing =>
  (writes as readonly Operation[]).includes(operation);

export interface Request<O extends Operation = Operation> {
  readonly id: number;
  readonly operation: O;
  readonly args: Calls[O]['args'];
}

export type Reply =
  | {
      readonly id: number;
      readonly answer: unknown;
      /** Failures besides the writes, see `Connection.trouble`. */
      readonly trouble: string | undefined;
    }
  | { readonly id: number; readonly failure: Failure };

export type Failure =
  | { readonly code: ErrorCode | 'bug'; readonly message: string }
  | { readonly code: 'went back'; readonly partition: Partition; readonly slot: number };

export function failureOf(e: unknown): Failure {
  if (e instanceof StoreWentBack) return { code: 'went back', partition: e.partition, slot: e.slot };
  return { code: isCoded(e) ? e.code : 'bug', message: messageOf(e) };
}

export function errorOf(failure: Failure): Error {
  if (failure.code === 'went back') return new StoreWentBack(failure.partition, failure.slot);
  return failure.code === 'bug' ? new Error(failure.message) : new CodedError(failure.code, failure.message);
}
