import { setImmediate as turn } from 'node:timers/promises';
import type { Deadline } from '../../base/deadline.ts';
import { CodedError } from '../../base/errors.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Position, Recorded } from '../../log/event.ts';
import { storedState } from '../../views/stored-state.ts';
import type { Projection } from '../../views/view.ts';
import { pastProjections, type PastStates } from './past-states.ts';

/** The states after one event. */
interface PastFold {
  readonly position: Position;
  /** Of the event there; undefined at the beginning, and where a snapshot does not tell. */
  readonly id: string | undefined;
  readonly states: PastStates;
}

const beginning: PastFold = {
  position: 0,
  id: undefined,
  states: {
    roles: pastProjections.roles.initial,
    users: pastProjections.users.initial,
    hosts: pastProjections.hosts.initial,
    locks: pastProjections.locks.initial,
  },
};

export interface PastFoldsOptions {
  readonly log: Pick<EventLog, 'history' | 'holds' | 'snapshot'>;
  /** A fold is kept each time it has passed this many events. */
  readonly keepEvery?: number;
}

/** Of folds that are kept: they share what they have in common. */
const mostKept = 24;
/** The loop serves others in between. */
const eventsInTurn = 500;

/**
 * The state of views at earlier positions of `state`. One is folded at a time, from the nearest fold before
 * it: one of those kept here, the snapshots of the store, or the beginning of the log. A caller that cannot
 * wait loses nothing: the next one goes on from where that fold stopped.
 */
export class PastFolds {
  readonly #log: PastFoldsOptions['log'];
  readonly #keepEvery: number;
  /** The most recently used last. */
  #kept: PastFold[] = [];
  #last: Promise<unknown> = Promise.resolve();

  constructor({ log, keepEvery = 50_000 }: PastFoldsOptions) {
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

  #keep(fold: PastFold): PastFold {
    this.#kept = [...this.#kept.filter((one) => one.position !== fold.position), fold].slice(-mostKept);
    return fold;
  }

  async #nearest(position: Position): Promise<PastFold> {
    const kept = await this.#nearestKept(position);
    if (position - kept.position <= this.#keepEvery) return kept;
    const stored = await this.#stored(position);
    return stored !== undefined && stored.position > kept.position ? stored : kept;
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

  /** Undefined unless the snapshots of all were taken at one position, not after this one. */
  async #stored(position: Position): Promise<PastFold | undefined> {
    const [roles, users, hosts, locks] = await Promise.all([
      storedState(pastProjections.roles, this.#log, -1),
      storedState(pastProjections.users, this.#log, -1),
      storedState(pastProjections.hosts, this.#log, -1),
      storedState(pastProjections.locks, this.#log, -1),
    ]);
    if (!roles || !users || !hosts || !locks) return undefined;
    const all = [roles, users, hosts, locks];
    if (all.some((one) => one.position !== roles.position) || roles.position > position) return undefined;
    const states = { roles: roles.state, users: users.state, hosts: hosts.state, locks: locks.state };
    return { position: roles.position, id: undefined, states };
  }
}

function after({ states: before }: PastFold, event: Recorded): PastFold {
  const { position, id } = event;
  const states: PastStates = {
    roles: applied(pastProjections.roles, before.roles, event),
    users: applied(pastProjections.users, before.users, event),
    hosts: applied(pastProjections.hosts, before.hosts, event),
    locks: applied(pastProjections.locks, before.locks, event),
  };
  return { position, id, states };
}

const applied = <S>(projection: Projection<S>, state: S, event: Recorded): S =>
  projection.apply(state, event);
