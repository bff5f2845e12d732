import { pause } from '../base/backoff.ts';

/** A read of the store whose one result serves all callers in the meantime. */
export type SharedLook = () => Promise<void>;

/**
 * Each caller gets the result of a read that began after the call; at most one begins in `spacingMs`, however
 * many calls there are. For callers that have proved nothing: their cost to the store does not grow with
 * their number.
 */
export function sharedLook(
  look: () => Promise<unknown>,
  spacingMs: number,
  monotonic: () => number,
): SharedLook {
  let beganAt = -Infinity;
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<void> | undefined;
  const begin = async (): Promise<void> => {
    // The callers that wait for that read get its error.
    await running.catch(() => undefined);
    const wait = beganAt + spacingMs - monotonic();
    if (wait > 0) await pause(wait);
    next = undefined;
    beganAt = monotonic();
    const looking = look();
    running = looking;
    await looking;
  };
  return () => (next ??= begin());
}
