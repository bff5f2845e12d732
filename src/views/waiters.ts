import type { Position } from '../log/event.ts';

interface Waiter {
  readonly position: Position;
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

/** Those who wait for a view to reach a position. */
export class Waiters {
  #waiting: Waiter[] = [];
  /** The first position that one of them waits for. */
  #first = Number.POSITIVE_INFINITY;

  until(position: Position): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ position, resolve, reject });
      this.#first = Math.min(this.#first, position);
    });
  }

  reached(position: Position): void {
    // Events pass by thousands while others wait for the last of them.
    if (position < this.#first) return;
    const ready = this.#waiting.filter((waiter) => waiter.position <= position);
    this.#waiting = this.#waiting.filter((waiter) => waiter.position > position);
    this.#first = this.#waiting.reduce(
      (first, one) => Math.min(first, one.position),
      Number.POSITIVE_INFINITY,
    );
    for (const waiter of ready) waiter.resolve();
  }

  refuse(reason: Error): void {
    this.#first = Number.POSITIVE_INFINITY;
    for (const waiter of this.#waiting.splice(0)) waiter.reject(reason);
  }
}
