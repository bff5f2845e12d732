import { isCoded } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Partition } from './event.ts';
import { keepOver } from './keep-over.ts';
import type { PartitionReader } from './partition-reader.ts';
import type { Place, SlotDriver } from './slot-driver.ts';
import type { SnapshotTrust } from './snapshot-store.ts';
import { type Chapter, chapterBytes, partsInChapter, readChapter } from './term-chapter.ts';
import { termsFolder } from './terms-folder.ts';

/** A chapter in the store, by its name alone. */
export interface ListedChapter {
  readonly chapter: number;
  readonly parts: number;
  readonly key: string;
}

/** Read at once. */
const atOnce = 16;
/** Chapters in memory, by their bytes. */
const heldBytes = 16 * 1024 * 1024;
/** An index of another release that ends so many chapters before ours: nobody keeps it any more. */
const leftBehind = 4;

/**
 * The chapters of one partition in the store. They only save time: one that is missing, damaged, without a
 * MAC where the log has them, or of a batch that the store does not hold counts as absent.
 */
export class TermChapters {
  readonly #driver: Pick<SlotDriver, 'snapshots'>;
  readonly #partition: Partition;
  readonly #reader: Pick<PartitionReader, 'fold' | 'batchAt'>;
  readonly #sink: LogSink;
  readonly #trust: SnapshotTrust | undefined;
  /** The most recently used last. */
  #held = new Map<string, { readonly chapter: Chapter; readonly bytes: number }>();
  #bytes = 0;
  #sound = new Set<string>();
  #unsound = new Set<string>();

  /** @param trust without it MACs are not checked, and none is made: for reading only. */
  constructor(
    driver: Pick<SlotDriver, 'snapshots'>,
    reader: Pick<PartitionReader, 'fold' | 'batchAt'>,
    sink: LogSink,
    trust?: SnapshotTrust,
  ) {
    this.#driver = driver;
    this.#reader = reader;
    this.#partition = reader.fold.partition;
    this.#sink = sink;
    this.#trust = trust;
  }

  /** After the store went back: what stood there may be of another branch of the log. */
  forget(): void {
    this.#held = new Map();
    this.#bytes = 0;
    this.#sound = new Set();
    this.#unsound = new Set();
  }

  /** In order; of each chapter all that there is, the one with the most parts last. */
  async list(terms: string): Promise<readonly ListedChapter[]> {
    const folder = this.#folder(terms);
    return (await this.#driver.snapshots.list(folder))
      .map((key) => {
        const [chapter, parts] = key.slice(folder.length).split('-').map(Number);
        return { chapter: chapter ?? Number.NaN, parts: parts ?? Number.NaN, key };
      })
      .filter(({ chapter, parts }) => Number.isSafeInteger(chapter) && Number.isSafeInteger(parts))
      .sort((a, b) => a.chapter - b.chapter || a.parts - b.parts);
  }

  /**
   * Those of the listed chapters that the log vouches for, the newest first: the store holds the batch in
   * which one ends, or the one after it begins there. By the chain nothing before it is another's then.
   */
  async *newestFirst(terms: string, listed: readonly ListedChapter[]): AsyncGenerator<Chapter> {
    let after: Chapter | undefined;
    for (let end = listed.length; end > 0; end -= atOnce) {
      const some = listed.slice(Math.max(0, end - atOnce), end).reverse();
      const read = await Promise.all(some.map((one) => this.#read(terms, one)));
      for (const [i, one] of some.entries()) {
        const chapter = read[i];
        const isSound = chapter !== undefined && (await this.#isSound(one, chapter, after));
        after = isSound ? chapter : undefined;
        if (after !== undefined) yield after;
      }
    }
  }

  /** Whether it was found not to be usable. */
  isUnsound({ key }: ListedChapter): boolean {
    return this.#unsound.has(key);
  }

  /** Replaces what there is of the chapter with fewer parts. */
  async write(chapter: Chapter): Promise<void> {
    const isAuthentic = (await this.#trust?.isAuthentic()) === true;
    const { terms, chapter: number } = chapter.id;
    const key = this.#key(terms, number, chapter.parts.length);
    const bytes = chapterBytes(chapter, isAuthentic ? this.#trust?.authenticity : undefined);
    await keepOver(this.#driver.snapshots, key, bytes);
    this.#unsound.delete(key);
    this.#sound.add(key);
    this.#hold(key, chapter, bytes.length);
    for (const one of await this.list(terms))
      if (one.chapter === number && one.parts < chapter.parts.length) await this.remove(one);
    if (chapter.parts.length === partsInChapter) await this.#removeLeft(terms, number);
  }

  async remove({ key }: ListedChapter): Promise<void> {
    await this.#driver.snapshots.remove(key);
    this.#drop(key);
    this.#sound.delete(key);
    this.#unsound.delete(key);
  }

  /** All before a chapter, in each index of this partition. */
  async removeBefore(chapter: number): Promise<void> {
    for (const terms of await this.#names())
      for (const one of await this.list(terms)) if (one.chapter < chapter) await this.remove(one);
  }

  async #names(): Promise<ReadonlySet<string>> {
    const folder = termsFolder(this.#partition);
    const keys = await this.#driver.snapshots.list(folder);
    return new Set(keys.map((key) => key.slice(folder.length).split('/')[0] ?? ''));
  }

  /** Indexes of other releases, which nobody goes on with. */
  async #removeLeft(terms: string, chapter: number): Promise<void> {
    for (const other of await this.#names()) {
      if (other === terms) continue;
      const listed = await this.list(other);
      if ((listed.at(-1)?.chapter ?? 0) + leftBehind > chapter) continue;
      for (const one of listed) await this.remove(one);
    }
  }

  async #isSound(one: ListedChapter, chapter: Chapter, after: Chapter | undefined): Promise<boolean> {
    if (this.#sound.has(one.key)) return true;
    const end = chapter.parts.at(-1)?.end;
    const isVouchedFor =
      end !== undefined &&
      ((one.parts === partsInChapter &&
        after?.id.chapter === one.chapter + 1 &&
        isSamePlace(after.from, end)) ||
        (await this.#isHeld(end)));
    if (isVouchedFor) this.#sound.add(one.key);
    else this.#passOver(one, 'the store does not hold the batch in which it ends');
    return isVouchedFor;
  }

  async #isHeld({ slot, hash }: Place): Promise<boolean> {
    return slot <= this.#reader.fold.slot && (await this.#reader.batchAt(slot))?.hash.equals(hash) === true;
  }

  async #read(terms: string, one: ListedChapter): Promise<Chapter | undefined> {
    const held = this.#held.get(one.key);
    if (held !== undefined) {
      this.#hold(one.key, held.chapter, held.bytes);
      return held.chapter;
    }
    if (this.isUnsound(one)) return undefined;
    // Gone since it was listed: one with more parts came.
    const bytes = await this.#driver.snapshots.get(one.key);
    if (bytes === undefined) return undefined;
    const { authenticity } = this.#trust ?? {};
    const isAuthentic = (await this.#trust?.isAuthentic()) ?? false;
    try {
      const id = { partition: this.#partition, terms, chapter: one.chapter };
      const chapter = readChapter(bytes, id, { authenticity, isAuthentic });
      if (chapter.parts.length === one.parts) {
        this.#hold(one.key, chapter, bytes.length);
        return chapter;
      }
      this.#passOver(one, 'it has another number of parts');
    } catch (e) {
      if (!isCoded(e, 'damaged')) throw e;
      this.#passOver(one, e.message);
    }
    return undefined;
  }

  #passOver(one: ListedChapter, reason: string): void {
    this.#unsound.add(one.key);
    this.#drop(one.key);
    const { chapter } = one;
    this.#sink.warn('part of an index of the log is passed over: searches read what it is of', {
      partition: this.#partition,
      ...{ chapter, reason },
    });
  }

  #hold(key: string, chapter: Chapter, bytes: number): void {
    this.#drop(key);
    this.#held.set(key, { chapter, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#held.keys()) {
      if (this.#bytes <= heldBytes) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#bytes -= this.#held.get(key)?.bytes ?? 0;
    this.#held.delete(key);
  }

  #folder(terms: string): string {
    return `${termsFolder(this.#partition)}${terms}/`;
  }

  #key(terms: string, chapter: number, parts: number): string {
    return `${this.#folder(terms)}${String(chapter).padStart(8, '0')}-${String(parts).padStart(2, '0')}`;
  }
}

export const isSamePlace = (a: Place, b: Place): boolean =>
  a.slot === b.slot && Buffer.from(a.hash).equals(b.hash);
