import { startTimer, stopTimer, type Timer } from '../base/timers.ts';

/** Something that is asked for at any rate, and done at a pace. */
export interface Paced {
  /**
   * Does it at once, or when the pause since the last time is over; those who ask meanwhile are served
   * together.
   */
  ask(): void;
  /** What was asked for and not done yet is not done any more. */
  stop(): void;
}

/** @param monotonic milliseconds of a clock that is never set. */
export function paced(act: () => void, leastPauseMs: number, monotonic: () => number): Paced {
  let doneAt = -Infinity;
  let timer: Timer | undefined;
  const now = (): void => {
    timer = undefined;
    doneAt = monotonic();
    act();
  };
  return {
    ask: () => {
      if (timer !== undefined) return;
      const waitMs = doneAt + leastPauseMs - monotonic();
      if (waitMs <= 0) now();
      else timer = startTimer(now, waitMs).unref();
    },
    stop: () => {
      stopTimer(timer);
      timer = undefined;
    },
  };
}
