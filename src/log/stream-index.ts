import type { Revision, StreamName } from './event.ts';

/** Where a stream's events lie: from revision `firstRevisions[i]` on in `slots[i]` and slots after it. */
export interface StreamIndex {
  readonly revision: Revision;
  readonly slots: readonly number[];
  readonly firstRevisions: readonly Revision[];
  /**
   * The entries stand apart: what lies from one on may be in any slot up to the next. Otherwise see
   * `indexSpan`.
   */
  readonly sparse?: true;
}

/** The indexes of a partition's streams. */
export interface StreamIndexes {
  /** Streams that were ever written. */
  readonly size: number;
  /** @throws Error for a stream of which it is not known here whether it exists: `recall` comes first. */
  get(stream: StreamName): StreamIndex | undefined;
  /** Takes an event of the stream: its next. */
  add(stream: StreamName, slot: number, revision: Revision): void;
  /** Forgets where trimmed events lay; streams keep their revision. */
  forgetBefore(slot: number): void;
  /**
   * Whether `get` answers for the stream. It will until the fold has gone on from `slot`, where it stands
   * now, so what is asked, decided and folded at one slot rests on the same knowledge.
   */
  knows(stream: StreamName, slot: number): boolean;
  /**
   * Reads from the store what is not known here. Then ask `knows` again: much may have happened meanwhile.
   */
  recall(streams: readonly StreamName[]): Promise<void>;
}

/** Slots that one entry of an index that is not sparse stands for: that one and those after it. */
export const indexSpan = 16;

/** All of them, whole, in memory: for partitions whose streams are as many as people and machines. */
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

  /** As a snapshot kept it. */
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

/** Without what is in slots before `slot`; the last entry stays. */
export function forgotten(index: StreamIndex, slot: number): StreamIndex {
  const next = index.slots.findIndex((one) => one > slot);
  const gone = (next === -1 ? index.slots.length : next) - 1;
  if (gone <= 0) return index;
  return { ...index, slots: index.slots.slice(gone), firstRevisions: index.firstRevisions.slice(gone) };
}

/** A sparse index of any length at the length that is kept. */
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
