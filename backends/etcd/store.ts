import type { CodedError } from '../../src/base/errors.ts';
import type { Keys } from './keys.ts';
import type { Peers } from './peers.ts';

/** Shared by every part of the driver. */
export interface Store {
  readonly peers: Pick<Peers, 'call' | 'write'>;
  readonly keys: Keys;
  readonly freed: Freed;
  /** A write that needs space was accepted, or refused. */
  readonly wrote: (refusal?: CodedError) => void;
}

/**
 * Called when something was deleted: with etcd's revision by then, or nothing when the reply was lost and it
 * may have been done. A later revision would do as well, an earlier one would not. Makes sure that etcd's
 * history forgets it too.
 */
export type Freed = (revision?: string) => void;

/** The operation may have deleted something, whether a reply arrives or not. */
export async function freeing<T extends { readonly succeeded: boolean; readonly revision: string }>(
  freed: Freed,
  act: () => Promise<T>,
): Promise<T> {
  try {
    const answer = await act();
    // Even when nothing was there any more: a request whose reply was lost may have deleted it.
    freed(answer.revision);
    return answer;
  } catch (e) {
    freed();
    throw e;
  }
}
