import { setImmediate as turn } from 'node:timers/promises';
import type { Deadline } from '../../base/deadline.ts';
import { CodedError } from '../../base/errors.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Position, Recorded } from '../../log/event.ts';
import { noPast, pastAfter, type PastStates } from './past-states.ts';
import { milestonePast, snapshotPast, type StoredPast } from './stored-past.ts';

/** The states after one event. */
interface PastFold {
  readonly position: Position;
  /** Of the event there; undefined at the beginning, and where what is stored does not tell. */
  readonly id: string | undefined;
  readonly states: PastStates;
}

const beginning: PastFold = { position: 0, id: undefined, states: noPast };

export interface PastFoldsOptions {
  readonly log: Pick<EventLog, 'history' | 'holds' | 'milestone' | 'snapshot'>;
  /** A fold is kept each time it has passed this many events. */
  readonly keepEvery?: number;
}

/** Of folds that are kept: they share what they have in common. */
const mostKept = 24;
/** The loop serves others in between. */
const eventsInTurn = 200;

/**
 * The state of views at earlier positions of `state`. One is folded at a time, from the nearest fold before
 * it: one of those kept here, a milestone or snapshot in the store, or the beginning of the log. A caller
 * that cannot wait loses nothing: the next one goes on from where that fold stopped.
 */
export class PastFolds {
  readonly #log: PastFoldsOptions['log'];
  readonly #keepEvery: number;
  /** The most recently used last. */
  #kept: PastFold[] = [];
  #last: Promise<unknown> = Promise.resolve();

  constructor({ log, keepEvery = 20_000 }: PastFoldsOptions) {
    this.#log = log;
    this.#keepEvery = keepEvery;
  }

  /**
   * After the event at `position`.
   * @throws CodedError `unavailable` when the deadline is over before that; what reading the log throws.
   */
  at(position: Position, deadline: Deadline): Promise<PastStates> {
    const next = this.#last.then(() => this.#fold(position, deadline));
    this.#last = next.catch(() => undefined);
    return next;
  }

  async #fold(position: Position, deadline: Deadline): Promise<PastStates> {
    let fold = await this.#nearest(position);
    if (fold.position === position) return this.#keep(fold).states;
    let passed = 0;
    for await (const event of this.#log.history(fold.position)) {
      if (event.position > position) break;
      fold = after(fold, event);
      if (++passed % this.#keepEvery === 0) this.#keep(fold);
      if (event.position === position) break;
      if (passed % eventsInTurn !== 0) continue;
      await turn();
      if (deadline.isOver()) {
        this.#keep(fold);
        throw new CodedError(
          'unavailable',
          `the log is long: ${fold.position} of the ${position} events until then are read; ask again to go on from there`,
        );
      }
    }
    return this.#keep(fold).states;
  }

  /** One whose event is not known could not be found wanting later. */
  #keep(fold: PastFold): PastFold {
    if (fold.id === undefined) return fold;
    this.#kept = [...this.#kept.filter((one) => one.position !== fold.position), fold].slice(-mostKept);
    return fold;
  }

  async #nearest(position: Position): Promise<PastFold> {
    const kept = await this.#nearestKept(position);
    if (position - kept.position <= this.#keepEvery) return kept;
    const milestone = later(kept, await milestonePast(this.#log, position));
    if (position - milestone.position <= this.#keepEvery) return milestone;
    return later(milestone, await snapshotPast(this.#log, position));
  }

  /** After the store went back, the log may have other events where some were folded. */
  async #nearestKept(position: Position): Promise<PastFold> {
    const before = this.#kept
      .filter((one) => one.position <= position)
      .reduce((a, b) => (b.position > a.position ? b : a), beginning);
    if (before.id === undefined || (await this.#log.holds(before.position, before.id))) return before;
    this.#kept = [];
    return beginning;
  }
}

const later = (one: PastFold, other: StoredPast | undefined): PastFold =>
  other !== undefined && other.position > one.position ? { ...other, id: undefined } : one;

const after = ({ states }: PastFold, event: Recorded): PastFold => ({
  position: event.position,
  id: event.id,
  states: pastAfter(states, event),
});
