import { startTimer } from './timers.ts';
import type { World } from './world.ts';

/** In [0, 1), for jitter: one byte spreads callers well enough. */
export const randomFraction = (world: Pick<World, 'randomBytes'>): number =>
  (world.randomBytes(1)[0] ?? 0) / 256;

/**
 * Delay before attempt `n` (1 is the first retry): full jitter, so that many callers do not return at once.
 * `random` is in [0, 1).
 */
export const backoffMs = (n: number, baseMs: number, maxMs: number, random: number): number =>
  Math.min(maxMs, baseMs * 2 ** Math.min(n - 1, 30)) * random;

/** Waits; resolves early (without throwing) when `signal` is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const end = (): void => {
      timer.stop();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = startTimer(end, ms);
    signal?.addEventListener('abort', end);
  });
}
