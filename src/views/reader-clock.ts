import type { Instant } from '../base/time.ts';

/** The clocks of a reader. Things in a fold expire by these, never by the clocks of those who wrote them. */
export interface ReaderClock {
  readonly now: () => Instant;
  /** Milliseconds of a monotonic clock. */
  readonly monotonic: () => number;
}
