import { startTimer, stopTimer, type Timer } from '../base/timers.ts';

/** An action that may be requested at any rate and is done at a limited one. */
export interface Paced {
  /**
   * Does it at once, or when the pause since the last time is over; requests in the meantime are served
   * together.
   */
  ask(): void;
  /** A request that has not been served yet is dropped. */
  stop(): void;
}

/** @param monotonic milliseconds of a monotonic clock. */
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
