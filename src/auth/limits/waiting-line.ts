import { startTimer } from '../../base/timers.ts';

/** Somebody who waits for a turn. */
export interface Waiting {
  /** Comes from where this user logged in before: served first, in places that others cannot take. */
  readonly known: boolean;
  /** How many times callers like this came lately: strangers who came least are served first. */
  readonly recent: number;
  /** Whether nobody waits for the result any more. */
  readonly isOver: () => boolean;
}

export interface LinePlaces {
  /** How many are served at once, and how many of them may be strangers. */
  readonly served: number;
  readonly strangersServed: number;
  /** How many more may wait, of each kind. */
  readonly waiting: number;
  /** How long each may wait, in milliseconds. */
  readonly waitMs: number;
}

interface Place extends Waiting {
  readonly enter: () => void;
  readonly turnAway: () => void;
}

/**
 * A line in front of expensive work. Frequent callers wait behind rare ones, and cannot take the places of
 * known ones.
 */
export class WaitingLine {
  readonly #places: LinePlaces;
  #served = 0;
  #strangersServed = 0;
  #known: Place[] = [];
  #strangers: Place[] = [];
  readonly #idle = new Set<() => void>();

  constructor(places: LinePlaces) {
    this.#places = places;
  }

  /**
   * Runs `work` when its turn comes. Undefined, without having begun, when the line is full: among strangers,
   * both waiting and new, the most frequent one is sent away. Also undefined when it has waited for too long.
   */
  async run<T>(who: Waiting, work: () => Promise<T>): Promise<{ readonly result: T } | undefined> {
    if (!(await this.#turn(who))) return undefined;
    try {
      return { result: await work() };
    } finally {
      this.#served--;
      if (!who.known) this.#strangersServed--;
      this.#admitNext();
      if (this.#served === 0) for (const resolve of [...this.#idle]) resolve();
    }
  }

  /** Resolves as soon as nobody is served, or after `mostMs`. */
  idle(mostMs: number): Promise<void> {
    if (this.#served === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        this.#idle.delete(end);
        timer.stop();
        resolve();
      };
      const timer = startTimer(end, mostMs);
      this.#idle.add(end);
    });
  }

  #turn(who: Waiting): Promise<boolean> {
    if (this.#mayEnter(who)) {
      this.#enter(who);
      return Promise.resolve(true);
    }
    const queue = who.known ? this.#known : this.#strangers;
    if (queue.length >= this.#places.waiting && !this.#makeRoomFor(who)) return Promise.resolve(false);
    return new Promise((resolve) => {
      const end = (admitted: boolean) => (): void => {
        timer.stop();
        resolve(admitted);
      };
      const place: Place = { ...who, enter: end(true), turnAway: end(false) };
      const timer = startTimer(() => {
        this.#leave(place);
      }, this.#places.waitMs);
      queue.push(place);
    });
  }

  /** It has waited for too long. */
  #leave(place: Place): void {
    this.#known = this.#known.filter((one) => one !== place);
    this.#strangers = this.#strangers.filter((one) => one !== place);
    place.turnAway();
  }

  #mayEnter({ known }: Waiting): boolean {
    const { served, strangersServed } = this.#places;
    return this.#served < served && (known || this.#strangersServed < strangersServed);
  }

  #enter({ known }: Waiting): void {
    this.#served++;
    if (!known) this.#strangersServed++;
  }

  #admitNext(): void {
    this.#known = stillWaiting(this.#known);
    this.#strangers = stillWaiting(this.#strangers);
    const next = this.#known[0] ?? least(this.#strangers);
    if (next === undefined || !this.#mayEnter(next)) return;
    if (next.known) this.#known.shift();
    else this.#strangers.splice(this.#strangers.indexOf(next), 1);
    this.#enter(next);
    next.enter();
  }

  #makeRoomFor(who: Waiting): boolean {
    if (who.known) return false;
    const last = most(this.#strangers);
    if (last === undefined || last.recent <= who.recent) return false;
    this.#strangers.splice(this.#strangers.indexOf(last), 1);
    last.turnAway();
    return true;
  }
}

function stillWaiting(places: readonly Place[]): Place[] {
  const { left = [], over = [] } = Object.groupBy(places, (one) => (one.isOver() ? 'over' : 'left'));
  for (const one of over) one.turnAway();
  return left;
}

/** The first of those who came least. */
const least = (places: readonly Place[]): Place | undefined =>
  places.reduce<Place | undefined>(
    (found, one) => (found === undefined || one.recent < found.recent ? one : found),
    undefined,
  );

/** The last of those who came most. */
const most = (places: readonly Place[]): Place | undefined =>
  places.reduce<Place | undefined>(
    (found, one) => (found === undefined || one.recent >= found.recent ? one : found),
    undefined,
  );
