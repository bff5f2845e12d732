import { setImmediate as turn } from 'node:timers/promises';

/** A long computation lets others have their turns after this time. */
const turnMs = 8;

/**
 * For a loop over many things, none of which takes long. To be called at each step; when it returns
 * something, that is to be awaited: whatever else waits is served meanwhile.
 */
export function turns(
  monotonic: () => number = () => performance.now(),
  stepsOfLook = 16,
): () => Promise<void> | undefined {
  let began = monotonic();
  let steps = 0;
  return () => {
    steps = (steps + 1) % stepsOfLook;
    if (steps !== 0 || monotonic() - began < turnMs) return undefined;
    return turn(undefined).then(() => {
      began = monotonic();
    });
  };
}
