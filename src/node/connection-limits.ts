const maxTimerMs = 2 ** 31 - 1;

/**
 * Calls `act` once `ms` milliseconds (of the monotonic clock) have gone by since `since()`: activity moves it forward, and
 * the timer is set anew only when it fires.
 */
export class Deadline {
  readonly #since: () => number;
  readonly #ms: number;
  readonly #act: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, since: () => number, act: () => void) {
    this.#ms = ms;
    this.#since = since;
    this.#act = act;
    this.#arm();
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }

  #arm(): void {
    const left = this.#since() + this.#ms - performance.now();
    this.#timer = setTimeout(
      () => {
        if (this.#since() + this.#ms > performance.now()) this.#arm();
        else this.#act();
      },
      Math.min(Math.max(left, 0), maxTimerMs),
    );
  }
}
