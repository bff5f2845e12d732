import { type Instant, msBetween } from '../base/time.ts';

/**
 * How much time has passed on the log, from fact to fact, no step longer than the reader allows. It is never
 * much more than the time that really passed, however wrong a clock was, and while nothing is written none
 * passes.
 */
export interface Passed {
  readonly ms: number;
  /** Of the last fact; empty before the first one. */
  readonly at: Instant;
}

export const nonePassed: Passed = { ms: 0, at: '' };

export const passedAt = ({ ms, at }: Passed, now: Instant, longestStepMs: number): Passed => ({
  ms: at === '' ? ms : ms + Math.min(longestStepMs, Math.max(0, msBetween(at, now))),
  at: now,
});
