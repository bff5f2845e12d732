import { pause } from '../base/backoff.ts';

/** A question to the store that one answer serves for all who ask meanwhile. */
export type SharedLook = () => Promise<void>;

/**
 * Whoever asks gets an answer that was begun after he asked; at most one begins in `spacingMs`, however many
 * ask. For those who have proved nothing: what they cost the store does not grow with their number.
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
    // Who asked for that one hears how it ended.
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
