import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Delay before attempt `n` (1 is the first retry): full jitter, so that many callers do not return at once.
 * `random` is in [0, 1).
 */
export const backoffMs = (n: number, baseMs: number, maxMs: number, random: number): number =>
  Math.min(maxMs, baseMs * 2 ** Math.min(n - 1, 30)) * random;

/** Waits; resolves early (without throwing) when `signal` is aborted. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return;
  await sleep(ms, undefined, signal ? { signal } : {}).catch((e: unknown) => {
    if (!signal?.aborted) throw e;
  });
}
