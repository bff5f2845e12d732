import { setImmediate as turn } from 'node:timers/promises';
import type { KnownPerson } from './known-people.ts';

/** Microseconds, roughly: of one page, and between two turns of the event loop. */
const mostWork = 150_000;
const workOfTurn = 3_000;
/** To look up a person and that person's roles. */
const workOfPerson = 20;
const workOfRole = 1;

export const workToLookUp = ({ roleNames }: KnownPerson): number =>
  workOfPerson + workOfRole * roleNames.length;

/** The work of one page; other callers have their turns meanwhile. */
export class Pace {
  #work = 0;
  #sinceTurn = 0;

  get isOver(): boolean {
    return this.#work >= mostWork;
  }

  async add(work: number): Promise<void> {
    this.#work += work;
    this.#sinceTurn += work;
    if (this.#sinceTurn < workOfTurn) return;
    this.#sinceTurn = 0;
    await turn();
  }
}
