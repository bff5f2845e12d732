import { CodedError, type ErrorCode, isCoded, messageOf } from '../../src/base/errors.ts';
import type { Partition } from '../../src/log/event.ts';
import type { StoredSlot } from '../../src/log/slot-driver.ts';

/** What the worker thread is asked, and what it answers. Both ends are this program: nothing is checked twice. */
export interface Calls {
  open: { args: { path: string; mode: 'write' | 'read' }; answer: undefined };
  commit: { args: { partition: Partition; slot: number; batch: Uint8Array }; answer: 'committed' | 'taken' };
  load: { args: { partition: Partition; slots: readonly StoredSlot[] }; answer: undefined };
  /** Slots from `from` on until they hold `maxBytes`; at least one when there is one. */
  page: { args: { partition: Partition; from: number; maxBytes: number }; answer: StoredSlot[] };
  trim: { args: { partition: Partition; before: number }; answer: undefined };
  put: { args: { store: BlobTable; key: string; value: Uint8Array }; answer: undefined };
  get: { args: { store: BlobTable; key: string }; answer: Uint8Array | undefined };
  delete: { args: { store: BlobTable; key: string }; answer: undefined };
  list: { args: { store: BlobTable; prefix: string }; answer: string[] };
  close: { args: undefined; answer: undefined };
}

export type Operation = keyof Calls;
export type BlobTable = 'vault' | 'snapshots';

export interface Request<O extends Operation = Operation> {
  readonly id: number;
  readonly operation: O;
  readonly args: Calls[O]['args'];
}

export type Reply =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly failure: { readonly code: ErrorCode | 'bug'; readonly message: string } };

export const failureOf = (e: unknown): { code: ErrorCode | 'bug'; message: string } => ({
  code: isCoded(e) ? e.code : 'bug',
  message: messageOf(e),
});

export const errorOf = (failure: { code: ErrorCode | 'bug'; message: string }): Error =>
  failure.code === 'bug' ? new Error(failure.message) : new CodedError(failure.code, failure.message);
