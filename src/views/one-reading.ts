import { Observable, type Observer, Subject, type Subscription } from 'rxjs';
import type { Followable } from '../log/event-log.ts';
import type { Followed, Position } from '../log/event.ts';

/** A log as several views see it that begin together. */
export interface OneReading {
  readonly log: Followable;
  /**
   * Begins to read for everybody who has asked for it, once for each position. Whoever asks later reads
   * alone.
   */
  begin(): void;
}

/**
 * Views that begin at the same position read the log once for all of them: reading and checking an event
 * costs far more than folding it.
 */
export function oneReading(log: Followable): OneReading {
  const gathered = new Map<Position, Gathered>();
  let begun = false;
  const at = (after: Position): Gathered => {
    const known = gathered.get(after) ?? new Gathered(log.follow(after, undefined, 'newest'));
    gathered.set(after, known);
    return known;
  };
  return {
    log: {
      ...methodsOf(log),
      follow: (after, id, wanted) =>
        begun || id !== undefined || wanted !== 'newest'
          ? log.follow(after, id, wanted)
          : new Observable((subscriber) => at(after).join(subscriber)),
    },
    begin: () => {
      begun = true;
      for (const one of gathered.values()) one.begin();
      gathered.clear();
    },
  };
}

/** Ends its reading when the last has left. */
class Gathered {
  readonly #events = new Subject<Followed>();
  readonly #source: Observable<Followed>;
  #reading: Subscription | undefined;

  constructor(source: Observable<Followed>) {
    this.#source = source;
  }

  join(subscriber: Observer<Followed>): () => void {
    const subscription = this.#events.subscribe(subscriber);
    return () => {
      subscription.unsubscribe();
      this.#endUnused();
    };
  }

  begin(): void {
    this.#reading = this.#source.subscribe(this.#events);
    this.#endUnused();
  }

  /** A log may deliver, and its readers leave, before `subscribe` returns. */
  #endUnused(): void {
    if (!this.#events.observed) this.#reading?.unsubscribe();
  }
}

/** Those that it has: a view asks whether they are there. */
function methodsOf(log: Followable): Omit<Followable, 'follow'> {
  return {
    snapshot: (name) => log.snapshot(name),
    ...(log.holds && { holds: log.holds.bind(log) }),
    ...(log.head && { head: log.head.bind(log) }),
    ...(log.positionBefore && { positionBefore: log.positionBefore.bind(log) }),
  };
}
