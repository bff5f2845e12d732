import type { Duplex } from 'node:stream';
import { CodedError, isCoded } from '../../base/errors.ts';
import { firstOf, type Way } from '../../base/first-of.ts';
import { second } from '../../base/time.ts';
import { FinalRefusal } from '../../tunnel/frame-bodies.ts';
import type { Peers } from './peers.ts';

/**
 * While a proxy is reloaded, or has just died, what hung on it opens its links again: a client that comes in
 * between waits for that, and does not fail.
 */
export const comesWithinMs = 8 * second;
export const againEveryMs = second / 2;
/** Who does not answer by then is not waited for: the next way is tried beside it. */
const headStartMs = second / 2;

export interface Waiting {
  /** Those there are now; asked each time. */
  readonly ways: () => readonly Way[];
  /** Whether it is worth waiting for another way. */
  readonly mayCome: () => boolean;
  /** Resolves when the ways have changed, at the latest after this time. */
  readonly next: (withinMs: number) => Promise<unknown>;
  readonly monotonic: () => number;
  readonly withinMs: number;
}

/**
 * The first way that leads there, of those there are now or will be in a moment.
 * @throws CodedError `unavailable` with what was tried; or the refusal that is the answer.
 */
export async function dialPatiently(
  { ways, mayCome, next, monotonic, withinMs }: Waiting,
  signal: AbortSignal,
): Promise<Duplex> {
  const began = monotonic();
  for (;;) {
    try {
      return await firstOf(ways(), signal, headStartMs);
    } catch (e) {
      const leftMs = withinMs - (monotonic() - began);
      if (!isCoded(e) || e instanceof FinalRefusal || signal.aborted || leftMs <= 0 || !mayCome()) throw e;
      await next(Math.min(leftMs, againEveryMs));
    }
  }
}

/** @param what hangs on no proxy that is reached: `it`. */
export function hangsNowhere(what: string, e: CodedError, peers: Pick<Peers, 'unreachable'>): CodedError {
  const away = peers.unreachable().map(({ hostId, why }) => `proxy ${hostId} is not reached: ${why}`);
  return new CodedError(
    'unavailable',
    [`${what} hangs on no proxy that this one reaches (${e.message})`, ...away].join('; '),
    { cause: e },
  );
}
