import { CodedError } from '../base/errors.ts';
import type { Fact, Partition, Recorded, StreamName } from './event.ts';

/**
 * A log that moves to another store is fenced: the last fact of each partition records that, and a process
 * that folds it appends nothing more. A process that did not know finds its slot taken, folds the fence, and
 * refuses as well. Reading continues.
 *
 * The fence is copied with all else; on the new store `log.migrated` follows it, and opens the log there.
 */
export interface Fence {
  /** `moved`: the log ended here; `abandoned`: this copy was never complete; `unknown` to this version. */
  readonly status: 'moved' | 'abandoned' | 'unknown';
  /** Id of the copy it was made for. */
  readonly copy: string;
  /** Why nothing can be appended, and what to do. */
  readonly reason: string;
}

/** The only stream that accepts appends while its partition is fenced. */
export const fenceStream = (partition: Partition): StreamName => `fence-${partition}`;

/** `to` is shown to people: the place of the new store. */
export const fenced = (copy: string, to: string): Fact => ({ type: 'log.fenced', data: { copy, to } });

/** Decides: the log is here now. Records which log it continues, and the heads of that. */
export const migrated = (copy: string, from: string, heads: readonly object[]): Fact => ({
  type: 'log.migrated',
  data: { copy, from, heads },
});

/** On the old store: the move was abandoned, the log continues here. */
export const fenceLifted = (copy: string): Fact => ({ type: 'log.fence_lifted', data: { copy } });

/** On the new store: the move was abandoned, the copied part is not a log of its own. */
export const copyAbandoned = (copy: string): Fact => ({ type: 'log.copy_abandoned', data: { copy } });

/**
 * The fence after an event of the fence's stream. A fact that this version does not know keeps it from
 * writing.
 */
export function fenceAfter({ fact }: Recorded): Fence | undefined {
  const { copy, to } = fact.data as { readonly copy?: unknown; readonly to?: unknown };
  const fence = (status: Fence['status'], reason: string): Fence => ({ status, copy: String(copy), reason });
  switch (fact.type) {
    case 'log.migrated':
    case 'log.fence_lifted':
      return undefined;
    case 'log.fenced':
      return fence('moved', `the log has moved to ${String(to)}: point storage at it and reload`);
    case 'log.copy_abandoned':
      return fence(
        'abandoned',
        'the move of the log to this store was taken back: point storage at the store it came from',
      );
    default:
      return fence('unknown', `the log was closed by a fact that this version does not know: ${fact.type}`);
  }
}

export const fenceError = ({ reason }: Fence): CodedError => new CodedError('unavailable', reason);
