import { setImmediate as turn } from 'node:timers/promises';

/** A long computation lets others have their turns after this time. */
const turnMs = 8;

/** Between two computations that each take long: whatever else waits is served meanwhile. */
export const nextTurn = (): Promise<void> => turn(undefined);

/**
 * For a loop over many things, none of which takes long. To be called at each step; when it returns
 * something, that is to be awaited: whatever else waits is served meanwhile.
 */
export function turns(monotonic: () => number = () => performance.now()): () => Promise<void> | undefined {
  let began = monotonic();
  return () => {
    if (monotonic() - began < turnMs) return undefined;
    return turn(undefined).then(() => {
      began = monotonic();
    });
  };
}
