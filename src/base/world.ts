import { randomBytes as nodeRandomBytes, randomUUID } from 'node:crypto';
import type { Instant } from './time.ts';

/** The only source of time and randomness. Tests pass a fake one. */
export interface World {
  now(): Instant;
  /**
   * Milliseconds of a clock that nobody sets; where it begins means nothing. For durations: pauses, limits,
   * patience. By `now` they would stand still when the machine's clock is set back.
   */
  monotonic(): number;
  randomBytes(n: number): Uint8Array;
  /** Random UUID, version 4. */
  uuid(): string;
}

/** An instant costs as much as half an append to the log: it is written once a millisecond. */
let written = { ms: Number.NaN, instant: '' };

/** The machine's own clock and random source. */
export const realWorld: World = {
  now: () => {
    const ms = Date.now();
    if (written.ms !== ms) written = { ms, instant: new Date(ms).toISOString() };
    return written.instant;
  },
  monotonic: () => performance.now(),
  randomBytes: (n) => nodeRandomBytes(n),
  uuid: () => randomUUID(),
};
