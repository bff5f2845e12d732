import { CodedError, isCoded } from '../base/errors.ts';
import type { Revision, StreamName } from './event.ts';
import type { IndexEntry, IndexRun } from './index-run.ts';
import { probeOf } from './name-filter.ts';
import {
  extended,
  forgotten,
  type SparseIndex,
  type StreamIndex,
  type StreamIndexes,
  thinned,
} from './stream-index.ts';

/**
 * How many streams, those written last, have their index in the manifest itself, so that opening need not
 * look them up.
 */
const maxRecent = 2_048;
/** Looked up in the store at once. */
const atOnce = 16;

interface Held {
  readonly index: SparseIndex;
  /** The slot of the fold when it was last needed. */
  touched: number;
}

/** The indexes in the store, as a manifest lists them. */
export interface Settled {
  /** `runs` and `recent` hold every stream as it was after this slot. */
  readonly slot: number;
  /** Oldest first; the newest that has a stream is right. */
  readonly runs: readonly IndexRun[];
  readonly recent: readonly IndexEntry[];
  readonly streams: number;
}

/** What a snapshot writes. */
export interface Unsettled {
  /** Every stream that was written after the last settled slot. */
  readonly changed: readonly IndexEntry[];
  readonly recent: readonly IndexEntry[];
  readonly runs: readonly IndexRun[];
  readonly streams: number;
}

/**
 * Indexes of an unlimited number of streams, such as sessions in `audit`. In memory are those that were
 * written since the newest snapshot and a few more; the rest is in runs in the store and is looked up there.
 */
export class SegmentedStreams implements StreamIndexes {
  #held = new Map<StreamName, Held>();
  #settledAt = 0;
  #runs: readonly IndexRun[] = [];
  #size = 0;
  /** What is settled at this slot or before is older than what is held. */
  #notBefore = 0;
  #repairing: Promise<void> | undefined;
  /** Called when a run cannot be read. Afterwards other runs, or none, are settled. */
  repair: (() => Promise<void>) | undefined;

  get size(): number {
    return this.#size;
  }
  get held(): number {
    return this.#held.size;
  }
  /** Up to which slot the store has the indexes. */
  get settledAt(): number {
    return this.#settledAt;
  }

  get(stream: StreamName): SparseIndex | undefined {
    const held = this.#held.get(stream);
    if (held === undefined && this.#mayBeStored(stream)) throw new Error(`${stream} was not recalled`);
    return held === undefined || held.index.revision === 0 ? undefined : held.index;
  }

  add(stream: StreamName, slot: number, revision: Revision): void {
    const known = this.get(stream);
    if (known === undefined) this.#size++;
    this.#held.set(stream, { index: extended(known, slot, revision), touched: slot });
  }

  forgetBefore(slot: number): void {
    for (const [name, held] of this.#held)
      this.#held.set(name, { ...held, index: forgotten(held.index, slot) });
  }

  knows(stream: StreamName, slot: number): boolean {
    const held = this.#held.get(stream);
    if (held) held.touched = Math.max(held.touched, slot);
    else if (this.#mayBeStored(stream)) return false;
    // Held as absent: the filters of runs that are settled next might disagree.
    else this.#held.set(stream, { index: absent, touched: slot });
    return true;
  }

  async recall(streams: readonly StreamName[]): Promise<void> {
    const runs = this.#runs;
    const wanted = new Set(streams.filter((one) => !this.#held.has(one) && this.#mayBeStored(one)));
    const left = [...wanted];
    const one = async (): Promise<void> => {
      for (let name = left.pop(); name !== undefined; name = left.pop()) {
        const index = await lookUp(name, runs);
        // Other runs were settled in the meantime: this may be older than what was released then.
        if (this.#runs === runs && !this.#held.has(name)) this.#held.set(name, { index, touched: 0 });
      }
    };
    try {
      await Promise.all(Array.from({ length: Math.min(atOnce, left.length) }, one));
    } catch (e) {
      if (!isCoded(e, 'damaged')) throw e;
      if (this.#runs !== runs) return;
      if (this.repair === undefined) throw new CodedError('unavailable', e.message, { cause: e });
      this.#repairing ??= this.repair().finally(() => (this.#repairing = undefined));
      await this.#repairing;
    }
  }

  /** As they are now; unaffected by later additions. */
  unsettled(): Unsettled {
    const changed: IndexEntry[] = [];
    for (const [name, { index }] of this.#held)
      if (lastSlot(index) > this.#settledAt) changed.push(entryOf(name, index));
    return { changed, recent: this.#recent(), runs: this.#runs, streams: this.#size };
  }

  /**
   * The store has them as they were after `slot`: those that were not needed since are released from memory.
   */
  settle({ slot, runs, recent, streams }: Settled): void {
    if (slot <= this.#settledAt || slot <= this.#notBefore) return;
    const kept = new Map<StreamName, Held>();
    for (const [name, held] of this.#held)
      if (lastSlot(held.index) > slot || held.touched >= slot) kept.set(name, held);
    for (const entry of recent) {
      const name = entry[0] as StreamName;
      if (!kept.has(name)) kept.set(name, this.#held.get(name) ?? { index: indexOf(entry), touched: 0 });
    }
    if (this.#size < streams) this.#size = streams;
    this.#held = kept;
    this.#runs = runs;
    this.#settledAt = slot;
  }

  entries(): Iterable<[StreamName, SparseIndex]> {
    return Array.from(this.#held, ([name, { index }]): [StreamName, SparseIndex] => [name, index]);
  }

  /** Takes all of them into memory again: `all`, as they were after `slot`, which is settled. */
  unsettle(all: Iterable<readonly [StreamName, SparseIndex]>, slot: number): void {
    if (this.#settledAt !== slot) return;
    for (const [name, index] of all) {
      const held = this.#held.get(name);
      if (held === undefined || held.index.revision < index.revision)
        this.#held.set(name, { index, touched: 0 });
    }
    this.#notBefore = this.#settledAt;
    this.#runs = [];
    this.#settledAt = 0;
  }

  /** From a snapshot of the previous release at `slot`: whole, its last entry up to `indexSpan` too early. */
  restore(stream: StreamName, index: StreamIndex, slot: number): void {
    this.#size++;
    this.#notBefore = slot;
    this.#held.set(stream, { index: thinned(index), touched: 0 });
  }

  #recent(): IndexEntry[] {
    const lasts = Float64Array.from(this.#held.values(), ({ index }) => lastSlot(index)).sort();
    const oldest = Math.max(1, lasts.at(-maxRecent) ?? 1);
    const found: IndexEntry[] = [];
    for (const [name, { index }] of this.#held)
      if (lastSlot(index) >= oldest && found.length < maxRecent) found.push(entryOf(name, index));
    return found;
  }

  #mayBeStored(stream: StreamName): boolean {
    if (this.#runs.length === 0) return false;
    const probe = probeOf(stream);
    return this.#runs.some((run) => run.mayHold(probe));
  }
}

const lastSlot = (index: SparseIndex): number => index.slots.at(-1) ?? 0;

const entryOf = (name: StreamName, { revision, slots, firstRevisions }: SparseIndex): IndexEntry => [
  name,
  revision,
  slots,
  firstRevisions,
];

const indexOf = ([, revision, slots, firstRevisions]: IndexEntry): SparseIndex => ({
  revision,
  slots,
  firstRevisions,
  sparse: true,
});

const absent: SparseIndex = { revision: 0, slots: [], firstRevisions: [], sparse: true };

async function lookUp(name: string, runs: readonly IndexRun[]): Promise<SparseIndex> {
  const probe = probeOf(name);
  for (const run of runs.toReversed()) {
    const found = run.mayHold(probe) ? await run.find(name) : undefined;
    if (found) return indexOf(found);
  }
  return absent;
}
