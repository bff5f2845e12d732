import type { StoredSlot } from '../../src/log/slot-driver.ts';

/** Slots of one partition, spread over `count` lanes: slot s is on lane s modulo `count`. */
export interface Lanes {
  readonly count: number;
  /**
   * Called beside the first pages, before anything is returned. Throws when reading must not go on; else as
   * `trimmedBefore`.
   */
  begin(): Promise<number>;
  /** Slots of a lane from `from` on, in order, as they are now. `more`: the lane holds further ones. */
  page(lane: number, from: number, limit: number): Promise<LanePage>;
  /** Slots before it count as gone, whether they are deleted yet or not. */
  trimmedBefore(): Promise<number>;
}

export interface LanePage {
  readonly slots: readonly StoredSlot[];
  readonly more: boolean;
}

/** Small first, since most readers want the newest slot only; larger for those who read on. */
const pageItems = { first: 16, growth: 4, max: 1024 };

/**
 * The slots from `from` on, in order. Each page is consistent, but no two are of the same moment: a later
 * slot may have been seen on one lane, and the one before it not yet on another. Since a slot is only written
 * after all before it, reading again is enough; a slot that is still missing was trimmed, or is damage, which
 * the log finds by the gap.
 */
export async function* mergeLanes(source: Lanes, from: number): AsyncGenerator<StoredSlot> {
  const lanes = Array.from({ length: source.count }, (_, index) => new Lane(source, index, from));
  const heads = async (): Promise<number[]> =>
    (await Promise.all(lanes.map((lane) => lane.head()))).filter((slot) => slot !== undefined);
  // At once, rather than one after the other.
  const [begin] = await Promise.all([source.begin(), heads()]);
  let next = Math.max(from, begin);
  for (const one of lanes) one.passOver(next);
  for (;;) {
    const lane = lanes[next % source.count];
    if ((await lane?.head()) === next && lane !== undefined) {
      yield lane.take();
      next++;
      continue;
    }
    if ((await heads()).length === 0) return;
    for (const one of lanes) one.lookAgain(next);
    const found = await heads();
    if (found.includes(next)) continue;
    const before = await source.trimmedBefore();
    if (before > next) {
      next = before;
      for (const one of lanes) one.lookAgain(next);
    } else if (found.length === 0) return;
    else next = Math.min(...found);
  }
}

/** One lane, read ahead by a page. */
class Lane {
  readonly #source: Lanes;
  readonly #index: number;
  #from: number;
  #limit: number;
  #page: StoredSlot[] = [];
  #more = true;

  constructor(source: Lanes, index: number, from: number) {
    this.#source = source;
    this.#index = index;
    this.#from = from;
    this.#limit = Math.ceil(pageItems.first / source.count);
  }

  /** The next slot of this lane; undefined when there is none. */
  async head(): Promise<number | undefined> {
    while (this.#page.length === 0 && this.#more) {
      const { slots, more } = await this.#source.page(this.#index, this.#from, this.#limit);
      // Taken from its end.
      this.#page = [...slots].reverse();
      this.#more = more && slots.length > 0;
      this.#from = (slots.at(-1)?.slot ?? this.#from) + 1;
      this.#limit = Math.min(this.#limit * pageItems.growth, pageItems.max);
    }
    return this.#page.at(-1)?.slot;
  }

  take(): StoredSlot {
    const slot = this.#page.pop();
    if (slot === undefined) throw new Error('the lane was not looked at');
    return slot;
  }

  /** Drops slots before `next`, and keeps those from there on. */
  passOver(next: number): void {
    this.#page = this.#page.filter(({ slot }) => slot >= next);
    this.#from = Math.max(this.#from, next);
  }

  /** Forgets slots from `from` on. */
  lookAgain(from: number): void {
    this.#page = [];
    this.#more = true;
    this.#from = from;
  }
}
