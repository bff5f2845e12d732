import { startTimer, stopTimer, type Timer } from '../base/timers.ts';

/** Notices that nothing has come for too long. */
export class Silence {
  readonly #silent = new AbortController();
  #timer: Timer | undefined;
  #limitMs = 0;
  #heard = true;

  get signal(): AbortSignal {
    return this.#silent.signal;
  }

  get limitMs(): number {
    return this.#limitMs;
  }

  /** From now on so long. */
  watch(limitMs: number): void {
    this.#heard = true;
    if (limitMs === this.#limitMs && this.#timer !== undefined) {
      this.#timer.restart();
      return;
    }
    this.stop();
    this.#limitMs = limitMs;
    this.#timer = startTimer(() => {
      // If this process itself was busy for that long, it reads what has come only now.
      this.#heard = false;
      setImmediate(() => {
        if (!this.#heard) this.#silent.abort();
      });
    }, limitMs);
  }

  stop(): void {
    this.#heard = true;
    stopTimer(this.#timer);
  }
}
