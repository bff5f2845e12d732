import type { Position } from '../log/event.ts';

interface Waiter {
  readonly position: Position;
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

/** Those who wait for a view to reach a position. */
export class Waiters {
  #waiting: Waiter[] = [];

  until(position: Position): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ position, resolve, reject });
    });
  }

  reached(position: Position): void {
    if (this.#waiting.length === 0) return;
    const ready = this.#waiting.filter((waiter) => waiter.position <= position);
    this.#waiting = this.#waiting.filter((waiter) => waiter.position > position);
    for (const waiter of ready) waiter.resolve();
  }

  refuse(reason: Error): void {
    for (const waiter of this.#waiting.splice(0)) waiter.reject(reason);
  }
}
