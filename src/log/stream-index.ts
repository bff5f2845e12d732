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

/** All of them, complete, in memory: for partitions with as many streams as there are people and machines. */
export class HeapStreams implements StreamIndexes {
  readonly #all = new Map<StreamName, { revision: Revision; slots: number[]; firstRevisions: Revision[] }>();

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
    let index = this.#all.get(stream);
    if (index === undefined) {
      index = { revision: 0, slots: [], firstRevisions: [] };
      this.#all.set(stream, index);
    }
    if (slot - (index.slots.at(-1) ?? -indexSpan) >= indexSpan) {
      index.slots.push(slot);
      index.firstRevisions.push(revision);
    }
    index.revision = revision;
  }

  /** From a snapshot. */
  restore(stream: StreamName, { revision, slots, firstRevisions }: StreamIndex): void {
    this.#all.set(stream, { revision, slots: [...slots], firstRevisions: [...firstRevisions] });
  }

  forgetBefore(slot: number): void {
    for (const index of this.#all.values()) {
      const kept = index.slots.findIndex((one) => one + indexSpan > slot);
      const gone = kept === -1 ? index.slots.length : kept;
      index.slots.splice(0, gone);
      index.firstRevisions.splice(0, gone);
    }
  }

  knows(): boolean {
    return true;
  }

  async recall(): Promise<void> {
    await Promise.resolve();
  }
}

/** Entries of a sparse index. The last is the slot of the newest event; the older, the further apart. */
const maxEntries = 12;

/** The index with one more event. Never changes the one before it. */
export function extended(index: StreamIndex | undefined, slot: number, revision: Revision): StreamIndex {
  if (index === undefined) return { revision, slots: [slot], firstRevisions: [revision], sparse: true };
  if (index.slots.at(-1) === slot) return { ...index, revision };
  return thinned({
    revision,
    slots: [...index.slots, slot],
    firstRevisions: [...index.firstRevisions, revision],
    sparse: true,
  });
}

/** Without the slots before `slot`; the last entry stays. */
export function forgotten(index: StreamIndex, slot: number): StreamIndex {
  const next = index.slots.findIndex((one) => one > slot);
  const gone = (next === -1 ? index.slots.length : next) - 1;
  if (gone <= 0) return index;
  return { ...index, slots: index.slots.slice(gone), firstRevisions: index.firstRevisions.slice(gone) };
}

/** A sparse index of any length, reduced to the length that is kept. */
export function thinned(index: StreamIndex): StreamIndex {
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
