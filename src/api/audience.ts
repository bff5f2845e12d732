import { startTimer, stopTimer, type Timer } from '../base/timers.ts';
import type { Position } from '../log/event.ts';

/**
 * How many readers are woken per millisecond, on average, so that they take less than half of a processor.
 */
const wokenPerMs = 10;

/** Readers who see the same events. */
export class Audience {
  readonly sleepers = new Set<() => void>();
  /** The newest event that they may see. */
  newest: Position;
  #wokenAt = -Infinity;
  #timer: Timer | undefined;

  constructor(newest: Position) {
    this.newest = newest;
  }

  /** Whether they are about to be woken together, including those that come now. */
  waking(): boolean {
    return this.#timer !== undefined;
  }

  wake(): void {
    if (this.waking()) return;
    const wait = this.#wokenAt + Math.floor(this.sleepers.size / wokenPerMs) - performance.now();
    if (wait <= 0) this.wakeNow();
    else
      this.#timer = startTimer(() => {
        this.wakeNow();
      }, wait);
  }

  wakeNow(): void {
    stopTimer(this.#timer);
    this.#timer = undefined;
    this.#wokenAt = performance.now();
    for (const wake of this.sleepers) wake();
  }
}
