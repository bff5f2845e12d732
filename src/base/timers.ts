/*
 * The only timers: a timer of the runtime takes 31 bits of milliseconds (24.8 days), and is over after one
 * millisecond when it is set to more (https://nodejs.org/api/timers.html#settimeoutcallback-delay-args).
 * These are set again until all of the time is over. They use the monotonic clock, so that setting the time
 * of day does not affect them. Infinity never comes.
 */

/** The longest that the runtime waits at once, in milliseconds. */
const longestAtOnceMs = 2 ** 31 - 1;

/** One that was started. */
export interface Timer {
  /** Cancels it. Calling it again, or too late, does nothing. */
  stop(): void;
  /** Waits its full time again from now on, even after it was stopped or had fired. */
  restart(): void;
  /** It does not keep the process alive. */
  unref(): Timer;
}

/** Stops `timer` if there is one, as `clearTimeout` takes undefined. */
export const stopTimer = (timer: Timer | undefined): void => {
  timer?.stop();
};

/**
 * Calls `act` once, `ms` milliseconds from now; below 1 counts as 1. @throws RangeError when `ms` is not a
 * number.
 */
export const startTimer = (act: () => void, ms: number): Timer => new ChainedTimer(act, checked(ms), 'once');

/**
 * Calls `act` every `ms` milliseconds, the first time when they are over. @throws RangeError when `ms` is not
 * a number.
 */
export const startTicker = (act: () => void, ms: number): Timer =>
  new ChainedTimer(act, checked(ms), 'again and again');

/**
 * A signal that is aborted after `ms` milliseconds, with the runtime's own `TimeoutError`. It does not keep
 * the process alive.
 * @throws RangeError when `ms` is not a number.
 */
export function signalAfter(ms: number): AbortSignal {
  // The runtime's own signal may be collected too early; longer ones are few.
  if (checked(ms) <= longestAtOnceMs) return AbortSignal.timeout(Math.ceil(checked(ms)));
  const late = new AbortController();
  startTimer(() => {
    late.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
  }, ms).unref();
  return late.signal;
}

function checked(ms: number): number {
  if (Number.isNaN(ms)) throw new RangeError('a timer needs a number of milliseconds');
  return Math.max(1, ms);
}

class ChainedTimer implements Timer {
  readonly #act: () => void;
  readonly #ms: number;
  readonly #times: 'once' | 'again and again';
  /** Whether the runtime repeats it by itself. */
  readonly #ticks: boolean;
  #keepsAlive = true;
  #handle: NodeJS.Timeout | undefined;

  constructor(act: () => void, ms: number, times: 'once' | 'again and again') {
    this.#act = act;
    this.#ms = ms;
    this.#times = times;
    this.#ticks = times === 'again and again' && ms <= longestAtOnceMs;
    this.restart();
  }

  stop(): void {
    if (this.#ticks) clearInterval(this.#handle);
    else clearTimeout(this.#handle);
    this.#handle = undefined;
  }

  restart(): void {
    this.stop();
    if (!this.#ticks) this.#wait(this.#ms);
    else this.#keep(setInterval(this.#act, this.#ms));
  }

  unref(): this {
    this.#keepsAlive = false;
    this.#handle?.unref();
    return this;
  }

  #wait(leftMs: number): void {
    const now = Math.min(leftMs, longestAtOnceMs);
    this.#keep(
      setTimeout(() => {
        if (leftMs > now) this.#wait(leftMs - now);
        else this.#come();
      }, now),
    );
  }

  #come(): void {
    if (this.#times === 'once') this.#handle = undefined;
    else this.#wait(this.#ms);
    this.#act();
  }

  #keep(handle: NodeJS.Timeout): void {
    this.#handle = this.#keepsAlive ? handle : handle.unref();
  }
}
