import type { CodedError } from '../../src/base/errors.ts';
import type { Keys } from './keys.ts';
import type { Peers } from './peers.ts';

/** What every part of the driver works with. */
export interface Store {
  readonly peers: Pick<Peers, 'call' | 'write'>;
  readonly keys: Keys;
  readonly freed: Freed;
  /** A write that needs room was taken, or refused. */
  readonly wrote: (refusal?: CodedError) => void;
}

/**
 * Hears of what was deleted: etcd's revision by then, or nothing when no answer came and it may have been
 * done. A later revision would do as well, an earlier one would not. Sees to it that etcd's history forgets
 * it too.
 */
export type Freed = (revision?: string) => void;

/** What is carried out may have deleted something, whether an answer comes or not. */
export async function freeing<T extends { readonly succeeded: boolean; readonly revision: string }>(
  freed: Freed,
  act: () => Promise<T>,
): Promise<T> {
  try {
    const answer = await act();
    // Also when nothing was there any more: a request whose answer was lost may have deleted it.
    freed(answer.revision);
    return answer;
  } catch (e) {
    freed();
    throw e;
  }
}
