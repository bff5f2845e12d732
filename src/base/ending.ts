import { startTimer, stopTimer, type Timer } from './timers.ts';
import type { Running, Succession } from './service.ts';

/** How long an ending service may wait for its clients. */
export interface Grace {
  /** Resolves when the time is over, or a later call left none. */
  readonly over: Promise<void>;
  /** Whether there is any: without, it waits for nobody. */
  readonly given: boolean;
  readonly succession: Succession;
}

/**
 * Makes a `stop` of `act`. The first call acts; another one waits for the same end, and one with a grace of 0
 * cuts the wait short: that is what a TERM in the middle of a drain does.
 */
export function endingOnce(act: (grace: Grace) => Promise<void>): Running['stop'] {
  let ending: { readonly done: Promise<void>; readonly cut: () => void } | undefined;
  return (graceMs, succession = 'none') => {
    if (ending !== undefined) {
      if (graceMs <= 0) ending.cut();
      return ending.done;
    }
    let cut: () => void = () => undefined;
    let timer: Timer | undefined;
    const over = new Promise<void>((resolve) => {
      cut = resolve;
      timer = startTimer(resolve, graceMs);
    });
    const done = act({ over, given: graceMs > 0, succession }).finally(() => {
      stopTimer(timer);
    });
    ending = { done, cut };
    return done;
  };
}
