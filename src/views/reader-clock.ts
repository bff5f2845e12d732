import type { Instant } from '../base/time.ts';

/**
 * The clocks of whoever folds. What a fold holds grows old by these, never by the clocks of those who wrote
 * it.
 */
export interface ReaderClock {
  readonly now: () => Instant;
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
}
