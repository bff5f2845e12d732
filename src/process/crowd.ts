/** A connection's place in a crowd. */
interface Place {
  group: string;
  /** Grows with each connection that enters. */
  readonly order: number;
}

/**
 * Connections that have not logged in, at most `max` of them, counted in all and by group. None is turned
 * away when it arrives, as whoever fills the places would then lock everybody out. A new one always enters,
 * and if that is one too many, the oldest of the largest group is removed. So an address that opens thousands
 * pushes out its own, and many people behind one address lose only the one that took longest. Pure.
 */
export class Crowd<One> {
  readonly #max: number;
  readonly #places = new Map<One, Place>();
  /** Members by group, each in the order in which they entered. */
  readonly #groups = new Map<string, Set<One>>();
  #entered = 0;

  /** @param max at least 1. */
  constructor(max: number) {
    this.#max = Math.max(1, max);
  }

  get size(): number {
    return this.#places.size;
  }

  sizeOf(group: string): number {
    return this.#groups.get(group)?.size ?? 0;
  }

  has(one: One): boolean {
    return this.#places.has(one);
  }

  /** Returns who has to leave now, with the group, having removed it already. */
  enter(one: One, group: string): { readonly gone: One; readonly group: string } | undefined {
    if (this.#places.has(one)) return undefined;
    this.#put(one, { group, order: this.#entered++ });
    return this.size > this.#max ? this.#pushOut() : undefined;
  }

  /** Moves `one` to the group it turned out to belong to. Does nothing for one that is not here. */
  move(one: One, group: string): void {
    const place = this.#places.get(one);
    if (place === undefined || place.group === group) return;
    this.leave(one);
    this.#put(one, { ...place, group });
  }

  leave(one: One): void {
    const place = this.#places.get(one);
    if (place === undefined) return;
    this.#places.delete(one);
    const members = this.#groups.get(place.group);
    members?.delete(one);
    if (members?.size === 0) this.#groups.delete(place.group);
  }

  #put(one: One, place: Place): void {
    this.#places.set(one, place);
    const members = this.#groups.get(place.group);
    if (members === undefined) this.#groups.set(place.group, new Set([one]));
    else members.add(one);
  }

  #pushOut(): { readonly gone: One; readonly group: string } | undefined {
    let found: { gone: One; group: string; size: number; order: number } | undefined;
    for (const [group, members] of this.#groups) {
      const [gone] = members;
      if (gone === undefined || members.size < (found?.size ?? 0)) continue;
      const order = this.#places.get(gone)?.order ?? 0;
      if (found === undefined || members.size > found.size || order < found.order)
        found = { gone, group, size: members.size, order };
    }
    if (found !== undefined) this.leave(found.gone);
    return found;
  }
}
