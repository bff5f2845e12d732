import { startTimer, stopTimer, type Timer } from '../base/timers.ts';

/**
 * Calls `act` once `ms` milliseconds (of the monotonic clock) have passed since `since()`. Activity moves
 * `since()` forward; the timer is set again only when it fires.
 */
export class Deadline {
  readonly #since: () => number;
  readonly #ms: number;
  readonly #act: () => void;
  #timer: Timer | undefined;

  constructor(ms: number, since: () => number, act: () => void) {
    this.#ms = ms;
    this.#since = since;
    this.#act = act;
    this.#arm();
  }

  cancel(): void {
    stopTimer(this.#timer);
  }

  #arm(): void {
    const left = this.#since() + this.#ms - performance.now();
    this.#timer = startTimer(() => {
      if (this.#since() + this.#ms > performance.now()) this.#arm();
      else this.#act();
    }, left);
  }
}
