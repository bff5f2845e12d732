import { startTimer } from '../../base/timers.ts';

/** Who waits for a turn. */
export interface Waiting {
  /** Comes from where this user logged in before: served first, in places that others cannot take. */
  readonly known: boolean;
  /** How often its like came lately: of strangers those are served first who came least. */
  readonly recent: number;
  /** Nobody waits for what comes of it any more. */
  readonly isOver: () => boolean;
}

export interface LinePlaces {
  /** So many are served at once; of strangers only so many. */
  readonly served: number;
  readonly strangersServed: number;
  /** So many more may wait, of each kind. */
  readonly waiting: number;
  /** For so long each, in milliseconds. */
  readonly waitMs: number;
}

interface Place extends Waiting {
  readonly enter: () => void;
  readonly turnAway: () => void;
}

/**
 * A line before work that is dear. Whoever comes in numbers waits behind those who come seldom, and cannot
 * take the places of those who are known.
 */
export class WaitingLine {
  readonly #places: LinePlaces;
  #served = 0;
  #strangersServed = 0;
  #known: Place[] = [];
  #strangers: Place[] = [];

  constructor(places: LinePlaces) {
    this.#places = places;
  }

  /**
   * Runs `work` when its turn comes. Undefined, without having begun, when the line is full: of strangers the
   * one is sent away, among those who wait and who comes, that came most often. Also when it has waited long
   * enough.
   */
  async run<T>(who: Waiting, work: () => Promise<T>): Promise<{ readonly result: T } | undefined> {
    if (!(await this.#turn(who))) return undefined;
    try {
      return { result: await work() };
    } finally {
      this.#served--;
      if (!who.known) this.#strangersServed--;
      this.#admitNext();
    }
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

  /** It has waited long enough. */
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
