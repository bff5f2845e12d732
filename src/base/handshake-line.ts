export interface HandshakePlaces {
  /** So many are under way at once: what all of them take together has to be far less than anybody waits. */
  readonly underWay: number;
  /** So many wait at most, also where they would get their turn in time. */
  readonly waiting: number;
  /** Nobody waits longer. */
  readonly waitMs: number;
}

/** Of one network, as `networkOf` names it. */
interface Network<One> {
  /** In the order in which they came, each with its number among all. */
  readonly waiting: Map<One, number>;
  /** Begun and not ended, also those that gave their place back. */
  begun: number;
}

/** How much the newest turn counts in the time that passes between two. */
const newest = 1 / 16;

/**
 * Decides whose handshake begins when. Who comes first is first within its network; among networks, the one
 * that has fewest handshakes under way. A stranger who begins many and ends none is last from then on,
 * however many he brings. Who cannot have a turn in time is turned away when he comes: the newest of the
 * network from which most wait. No I/O, no clock.
 */
export class HandshakeLine<One extends object> {
  readonly #places: HandshakePlaces;
  readonly #networks = new Map<string, Network<One>>();
  readonly #waiting = new Map<One, string>();
  readonly #begun = new Map<One, { readonly network: string; isPlaced: boolean }>();
  #placed = 0;
  #came = 0;
  /** Between two turns while somebody waited, smoothed; undefined before there were two. */
  #paceMs: number | undefined;
  /** When the last one began behind which somebody waited. */
  #lastTurn: number | undefined;

  constructor(places: HandshakePlaces) {
    this.#places = places;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get underWay(): number {
    return this.#placed;
  }

  /** Returns who has to leave now, which is often `one` itself, having removed it already. */
  enter(one: One, network: string): One | undefined {
    const { waiting } = this.#networkOf(network);
    waiting.set(one, this.#came++);
    this.#waiting.set(one, network);
    if (this.#waiting.size <= this.#mostWaiting()) return undefined;
    const out = this.#newestOfMost(network) ?? one;
    this.leave(out);
    return out;
  }

  /**
   * Who begins now, having its place already; undefined when nobody waits, or no place is free.
   * @param now in milliseconds of a monotonic clock.
   */
  next(now: number): One | undefined {
    if (this.#placed >= this.#places.underWay) return undefined;
    const found = this.#first();
    if (found === undefined) {
      this.#lastTurn = undefined;
      return undefined;
    }
    const { one, network } = found;
    this.#measure(now);
    this.#waiting.delete(one);
    const group = this.#networkOf(network);
    group.waiting.delete(one);
    group.begun++;
    this.#begun.set(one, { network, isPlaced: true });
    this.#placed++;
    return one;
  }

  /** What takes so long is the other end's doing: another one may begin meanwhile. */
  givePlaceBack(one: One): void {
    const begun = this.#begun.get(one);
    if (begun?.isPlaced !== true) return;
    begun.isPlaced = false;
    this.#placed--;
  }

  /** It does not wait any more, or its handshake has ended. Does nothing for one that is not here. */
  leave(one: One): void {
    const waited = this.#waiting.get(one);
    if (waited !== undefined) {
      this.#waiting.delete(one);
      this.#networkOf(waited).waiting.delete(one);
      this.#forget(waited);
    }
    const begun = this.#begun.get(one);
    if (begun === undefined) return;
    this.givePlaceBack(one);
    this.#begun.delete(one);
    this.#networkOf(begun.network).begun--;
    this.#forget(begun.network);
  }

  /** As many as get their turn in time at the pace of the last turns. */
  #mostWaiting(): number {
    const { underWay, waiting, waitMs } = this.#places;
    const inTime = this.#paceMs === undefined ? waiting : Math.floor(waitMs / this.#paceMs);
    return Math.min(waiting, Math.max(underWay, inTime));
  }

  #measure(now: number): void {
    const passed = this.#lastTurn === undefined ? undefined : now - this.#lastTurn;
    this.#lastTurn = this.#waiting.size > 1 ? now : undefined;
    if (passed === undefined) return;
    this.#paceMs = this.#paceMs === undefined ? passed : this.#paceMs + (passed - this.#paceMs) * newest;
  }

  #first(): { readonly one: One; readonly network: string } | undefined {
    let found: { one: One; network: string; begun: number; came: number } | undefined;
    for (const [network, { waiting, begun }] of this.#networks) {
      const [first] = waiting;
      if (first === undefined) continue;
      const [one, came] = first;
      if (found === undefined || begun < found.begun || (begun === found.begun && came < found.came))
        found = { one, network, begun, came };
    }
    return found;
  }

  /** Undefined when no more wait from another network than from the `own` of who has just come. */
  #newestOfMost(own: string): One | undefined {
    const ofOwn = this.#networkOf(own).waiting;
    let most = ofOwn;
    for (const { waiting } of this.#networks.values()) if (waiting.size > most.size) most = waiting;
    return most === ofOwn ? undefined : [...most.keys()].at(-1);
  }

  #networkOf(name: string): Network<One> {
    const known = this.#networks.get(name);
    if (known !== undefined) return known;
    const made: Network<One> = { waiting: new Map(), begun: 0 };
    this.#networks.set(name, made);
    return made;
  }

  #forget(name: string): void {
    const network = this.#networks.get(name);
    if (network?.begun === 0 && network.waiting.size === 0) this.#networks.delete(name);
  }
}
