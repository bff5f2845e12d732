import { turns } from '../base/turns.ts';
import type { Batch } from './batch.ts';
import type { Position } from './event.ts';
import { probeOf } from './name-filter.ts';
import { noHash } from './own-hash.ts';
import type { PartitionReader } from './partition-reader.ts';
import type { Place } from './slot-driver.ts';
import { slotBefore } from './slot-search.ts';
import {
  type Chapter,
  eventsInChapter,
  eventsInPart,
  filterOf,
  type IndexedPart,
  partsInChapter,
} from './term-chapter.ts';
import type { ListedChapter, TermChapters } from './term-chapters.ts';
import { type Indexed, joined, type Part, type Terms, type WantedTerms } from './terms.ts';

type Reader = Pick<PartitionReader, 'fold' | 'batches' | 'batchAt' | 'catchUp'>;

/** The chapter that is to be written next. */
interface Next {
  readonly chapter: number;
  readonly from: Place;
  readonly parts: readonly IndexedPart[];
}

/**
 * Which parts of a partition may hold events with certain terms, by filters that lie in the store. Nothing
 * depends on it but time: a part that it does not know is one that may hold them.
 */
export class TermIndex {
  readonly #reader: Reader;
  readonly #chapters: TermChapters;
  /** The names of indexes whose end in the store was looked at. */
  #looked = new Set<string>();
  /** Chapters of which the log does not hold all events any more. */
  #trimmed = -1;

  constructor(reader: Reader, chapters: TermChapters) {
    this.#reader = reader;
    this.#chapters = chapters;
  }

  /** After the store went back. */
  forget(): void {
    this.#chapters.forget();
    this.#looked = new Set();
    this.#trimmed = -1;
  }

  /** Events up to this position are not on the log any more: what finds only them is removed. */
  async forgetUpTo(position: Position): Promise<void> {
    const kept = Math.floor(position / eventsInChapter);
    this.#trimmed = Math.max(this.#trimmed, kept - 1);
    await this.#chapters.removeBefore(kept);
  }

  /** See `EventLog.partsWith`. */
  async partsWith({ name }: Terms, wanted: WantedTerms, after: Position): Promise<readonly Part[]> {
    await this.#reader.catchUp();
    const head = this.#reader.fold.position;
    if (wanted.length === 0) return joined([{ after, upTo: head }]);
    const probes = wanted.map((list) => list.map(probeOf));
    const first = Math.floor(after / eventsInChapter);
    const listed = largest(await this.#chapters.list(name)).filter(({ chapter }) => chapter >= first);
    const due = turns();
    const found: Part[] = [];
    let end = head;
    /** The events after `from`, of those that were not judged yet. */
    const judge = (from: Position, mayBeThere: boolean): void => {
      const begin = Math.max(after, from);
      if (begin >= end) return;
      if (mayBeThere) found.push({ after: begin, upTo: end });
      end = begin;
    };
    for await (const { id, parts } of this.#chapters.newestFirst(name, listed)) {
      const begin = id.chapter * eventsInChapter;
      judge(begin + parts.length * eventsInPart, true);
      for (const [i, { filter }] of [...parts.entries()].reverse())
        judge(
          begin + i * eventsInPart,
          probes.every((list) => list.some((probe) => filter.mayHold(probe))),
        );
      await due();
    }
    judge(after, true);
    return joined(found.reverse());
  }

  /** See `EventLog.indexTerms`. */
  async extend(terms: Terms): Promise<Indexed> {
    await this.#reader.catchUp();
    const head = this.#reader.fold.position;
    const next = await this.#next(terms.name);
    const begin = next.chapter * eventsInChapter;
    const possible = Math.min(partsInChapter, Math.floor((head - begin) / eventsInPart));
    const upTo = (parts: number): Position => begin + parts * eventsInPart;
    if (possible <= next.parts.length) return { upTo: upTo(next.parts.length), isBehind: false };
    const parts = await this.#read(terms, next, possible);
    if (parts === undefined) {
      this.#trimmed = Math.max(next.chapter, await this.#lastTrimmed());
      const end = (this.#trimmed + 1) * eventsInChapter;
      return { upTo: end, isBehind: head - end >= eventsInPart };
    }
    const { partition } = this.#reader.fold;
    const id = { partition, terms: terms.name, chapter: next.chapter };
    await this.#chapters.write({ id, from: next.from, parts });
    return { upTo: upTo(possible), isBehind: head - upTo(possible) >= eventsInPart };
  }

  /** The last chapter of which the log has not all events; -1: it has all of the first. */
  async #lastTrimmed(): Promise<number> {
    for await (const { firstPosition } of this.#reader.batches(1))
      return Math.ceil((firstPosition - 1) / eventsInChapter) - 1;
    return -1;
  }

  /** The first that is not whole. What is of a branch that the log has left is removed before. */
  async #next(name: string): Promise<Next> {
    if (!this.#looked.has(name)) await this.#removeLost(name);
    this.#looked.add(name);
    const listed = largest(await this.#chapters.list(name));
    const known = new Map(listed.map((one) => [one.chapter, one]));
    let chapter = this.#trimmed + 1;
    const isWhole = (one: ListedChapter | undefined): boolean =>
      one?.parts === partsInChapter && !this.#chapters.isUnsound(one);
    while (isWhole(known.get(chapter))) chapter++;
    const one = known.get(chapter);
    const begun = one && (await this.#sound(name, one));
    const before = known.get(chapter - 1);
    if (begun !== undefined) return { chapter, from: begun.from, parts: begun.parts };
    const previous = before && isWhole(before) ? await this.#sound(name, before) : undefined;
    const from = previous?.parts.at(-1)?.end ?? (await this.#placeOf(chapter * eventsInChapter));
    return { chapter, from, parts: [] };
  }

  async #sound(name: string, one: ListedChapter): Promise<Chapter | undefined> {
    for await (const chapter of this.#chapters.newestFirst(name, [one])) return chapter;
    return undefined;
  }

  /** From the end, up to one that the log vouches for: it vouches for those before. */
  async #removeLost(name: string): Promise<void> {
    for (const one of [...(await this.#chapters.list(name))].reverse()) {
      if ((await this.#sound(name, one)) !== undefined) return;
      await this.#chapters.remove(one);
    }
  }

  /** Of the batch that holds the event at a position; of an unknown one where it was trimmed. */
  async #placeOf(position: Position): Promise<Place> {
    if (position === 0) return { slot: 0, hash: noHash };
    for await (const batch of this.#reader.batches(await slotBefore(this.#reader, position - 1))) {
      if (batch.firstPosition > position) break;
      if (batch.firstPosition + batch.events.length > position) return { slot: batch.slot, hash: batch.hash };
    }
    return { slot: 0, hash: noHash };
  }

  /** The parts of a chapter, `count` in all; undefined where the log does not hold all of their events. */
  async #read(terms: Terms, next: Next, count: number): Promise<readonly IndexedPart[] | undefined> {
    const parts = [...next.parts];
    const from = parts.at(-1)?.end ?? next.from;
    const begin = next.chapter * eventsInChapter;
    let at = begin + parts.length * eventsInPart;
    let found = new Set<string>();
    let before: Place = from;
    for await (const batch of this.#reader.batches(Math.max(1, from.slot))) {
      if (!follows(batch, before) || batch.firstPosition > at + 1) return undefined;
      before = { slot: batch.slot, hash: batch.hash };
      for (const event of batch.events) {
        if (event.position <= at) continue;
        at = event.position;
        for (const term of terms.of(event)) found.add(term);
        if ((at - begin) % eventsInPart !== 0) continue;
        parts.push({ end: before, filter: filterOf(found) });
        found = new Set();
        if (parts.length === count) return parts;
      }
    }
    return undefined;
  }
}

/** Whether it is the batch at the place, or the one after it. */
const follows = (batch: Batch, { slot, hash }: Place): boolean =>
  batch.slot === slot ? batch.hash.equals(hash) : batch.slot === slot + 1 && batch.previous.equals(hash);

/** Of each chapter the one with the most parts, in order. */
const largest = (listed: readonly ListedChapter[]): readonly ListedChapter[] => [
  ...new Map(listed.map((one) => [one.chapter, one])).values(),
];
