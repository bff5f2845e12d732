import type { Revision, StreamName } from './event.ts';

/** Where a stream's events are: from revision `firstRevisions[i]` on in `slots[i]` and later slots. */
export interface StreamIndex {
  readonly revision: Revision;
  readonly slots: readonly number[];
  readonly firstRevisions: readonly Revision[];
  /**
   * The entries are apart: events from one entry on may be in any slot up to the next. Otherwise see
   * `indexSpan`.
   */
  readonly sparse?: true;
}

/** The indexes of a partition's streams. */
export interface StreamIndexes {
  /** Number of streams that were ever written. */
  readonly size: number;
  /** @throws Error for a stream whose existence is not known here: call `recall` first. */
  get(stream: StreamName): StreamIndex | undefined;
  /** Adds an event to the stream: its next. */
  add(stream: StreamName, slot: number, revision: Revision): void;
  /** Forgets where trimmed events were; streams keep their revision. */
  forgetBefore(slot: number): void;
  /**
   * Whether `get` works for the stream. It will until the fold has moved on from `slot`, its current one, so
   * that everything read, decided and folded at one slot uses the same knowledge.
   */
  knows(stream: StreamName, slot: number): boolean;
  /**
   * Reads unknown streams from the store. Then call `knows` again: much may have happened in the meantime.
   */
  recall(streams: readonly StreamName[]): Promise<void>;
}

/** Slots that one entry of an index that is not sparse stands for: that one and those after it. */
export const indexSpan = 16;

/**
 * With more entries than this in all, streams with more than `mostDense` become sparse: what a log holds in
 * memory, and writes into each snapshot, then grows with its streams and not with their age. Not before: an
 * earlier release does not read a snapshot that has such an index.
 */
const manyEntries = 131_072;
const mostDense = 32;

interface DenseIndex {
  revision: Revision;
  slots: number[];
  firstRevisions: Revision[];
  readonly sparse?: never;
}

/** All of them in memory: for partitions with as many streams as there are people and machines. */
export class HeapStreams implements StreamIndexes {
  readonly #all = new Map<StreamName, DenseIndex | SparseIndex>();
  readonly #many: number;
  /** Of the indexes that are not sparse. */
  #entries = 0;
  #isThinning = false;

  /** @param many for tests; infinite where an old stream must not become sparse. */
  constructor(many: number = manyEntries) {
    this.#many = many;
  }

  get size(): number {
    return this.#all.size;
  }

  entries(): Iterable<[StreamName, StreamIndex]> {
    return this.#all;
  }

  get(stream: StreamName): StreamIndex | undefined {
    return this.#all.get(stream);
  }

  add(stream: StreamName, slot: number, revision: Revision): void {
    const index = this.#all.get(stream) ?? { revision: 0, slots: [], firstRevisions: [] };
    if (index.sparse) {
      this.#all.set(stream, extended(index, slot, revision));
      return;
    }
    if (index.revision === 0) this.#all.set(stream, index);
    if (slot - (index.slots.at(-1) ?? -indexSpan) >= indexSpan) {
      index.slots.push(slot);
      index.firstRevisions.push(revision);
      this.#entries++;
    }
    index.revision = revision;
    if (this.#isThinning) this.#thin(stream, index);
    else if (this.#entries > this.#many) this.#thinAll();
  }

  /** From a snapshot. */
  restore(stream: StreamName, index: StreamIndex): void {
    const { revision, slots, firstRevisions, sparse } = index;
    if (sparse) {
      this.#isThinning = true;
      this.#all.set(stream, thinned(index));
      return;
    }
    this.#all.set(stream, { revision, slots: [...slots], firstRevisions: [...firstRevisions] });
    this.#entries += slots.length;
  }

  forgetBefore(slot: number): void {
    for (const [stream, index] of this.#all) {
      if (index.sparse) {
        this.#all.set(stream, forgotten(index, slot));
        continue;
      }
      const kept = index.slots.findIndex((one) => one + indexSpan > slot);
      const gone = kept === -1 ? index.slots.length : kept;
      index.slots.splice(0, gone);
      index.firstRevisions.splice(0, gone);
      this.#entries -= gone;
    }
  }

  knows(): boolean {
    return true;
  }

  async recall(): Promise<void> {
    await Promise.resolve();
  }

  #thinAll(): void {
    this.#isThinning = true;
    for (const [stream, index] of this.#all) if (!index.sparse) this.#thin(stream, index);
  }

  #thin(stream: StreamName, index: DenseIndex): void {
    if (index.slots.length <= mostDense) return;
    this.#entries -= index.slots.length;
    this.#all.set(stream, thinned(index));
  }
}

/** One whose entries are apart. */
export type SparseIndex = StreamIndex & { readonly sparse: true };

/** Entries of a sparse index. The older, the further apart. */
const maxEntries = 12;

/** The index with one more event. Never changes the one before it. */
export function extended(index: SparseIndex | undefined, slot: number, revision: Revision): SparseIndex {
  if (index === undefined) return { revision, slots: [slot], firstRevisions: [revision], sparse: true };
  if (index.slots.at(-1) === slot) return { ...index, revision };
  return thinned({
    revision,
    slots: [...index.slots, slot],
    firstRevisions: [...index.firstRevisions, revision],
  });
}

/** Without the slots before `slot`; the last entry stays. */
export function forgotten(index: SparseIndex, slot: number): SparseIndex {
  const next = index.slots.findIndex((one) => one > slot);
  const gone = (next === -1 ? index.slots.length : next) - 1;
  if (gone <= 0) return index;
  return { ...index, slots: index.slots.slice(gone), firstRevisions: index.firstRevisions.slice(gone) };
}

/** An index of any length as a sparse one of the length that is kept. */
export function thinned(index: Pick<StreamIndex, 'revision' | 'slots' | 'firstRevisions'>): SparseIndex {
  const slots = [...index.slots];
  const firstRevisions = [...index.firstRevisions];
  const end = slots.at(-1) ?? 0;
  while (slots.length > maxEntries) {
    const gone = leastMissed(slots, end);
    slots.splice(gone, 1);
    firstRevisions.splice(gone, 1);
  }
  return { revision: index.revision, slots, firstRevisions, sparse: true };
}

/**
 * The entry without which the gap is smallest beside its distance from the end: so they stay apart by a
 * factor.
 */
function leastMissed(slots: readonly number[], end: number): number {
  let [found, least] = [1, Number.POSITIVE_INFINITY];
  for (let i = 1; i < slots.length - 1; i++) {
    const before = slots[i - 1] ?? 0;
    const gap = ((slots[i + 1] ?? 0) - before) / (end - before);
    if (gap < least) [found, least] = [i, gap];
  }
  return found;
}
