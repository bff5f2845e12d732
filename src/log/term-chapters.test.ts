import { beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import type { Batch } from './batch.ts';
import { memoryDriver, memoryStore } from './memory-driver.ts';
import { PartitionFold } from './partition-fold.ts';
import { type Chapter, filterOf, partsInChapter } from './term-chapter.ts';
import { TermChapters } from './term-chapters.ts';

const hash = (slot: number): Buffer => Buffer.alloc(32, slot);
/** One part a slot; chapter n ends in slot 16 (n + 1). */
const chapterOf = (terms: string, chapter: number, parts = partsInChapter, from = 16 * chapter): Chapter => ({
  id: { partition: 'audit', terms, chapter },
  from: { slot: from, hash: hash(from) },
  parts: Array.from({ length: parts }, (_, i) => ({
    end: { slot: 16 * chapter + i + 1, hash: hash(16 * chapter + i + 1) },
    filter: filterOf(new Set([`${chapter} ${i}`])),
  })),
});

const fold = Object.assign(new PartitionFold('audit'), { slot: 160 });
let store: ReturnType<typeof memoryStore>;
/** Slots that were asked for. */
let asked: number[];
beforeEach(() => {
  store = memoryStore();
  asked = [];
});
const chapters = (): TermChapters =>
  new TermChapters(
    memoryDriver(store),
    {
      fold,
      batchAt: (slot) => {
        asked.push(slot);
        return Promise.resolve({ slot, hash: hash(slot) } as Batch);
      },
    },
    silentLog,
  );
async function soundOf(of: TermChapters, terms = 'a.1'): Promise<number[]> {
  const found: number[] = [];
  for await (const { id } of of.newestFirst(terms, await of.list(terms))) found.push(id.chapter);
  return found;
}

describe('the chapters in a store', () => {
  it('are vouched for by the newest of them, as each begins where the one before ends', async () => {
    for (let n = 0; n < 4; n++) await chapters().write(chapterOf('a.1', n, n === 3 ? 5 : partsInChapter));
    const of = chapters();
    expect([await soundOf(of), asked]).toEqual([[3, 2, 1, 0], [53]]);
    // Not again.
    expect([await soundOf(of), asked]).toEqual([[3, 2, 1, 0], [53]]);
    of.forget();
    expect([await soundOf(of), asked]).toEqual([
      [3, 2, 1, 0],
      [53, 53],
    ]);
  });

  it('are asked for by themselves where one is missing, or goes on from elsewhere', async () => {
    for (const one of [chapterOf('a.1', 0), chapterOf('a.1', 1, 16, 3), chapterOf('a.1', 3)])
      await chapters().write(one);
    expect([await soundOf(chapters()), asked]).toEqual([
      [3, 1, 0],
      [64, 32, 16],
    ]);
  });

  it('that end in a batch that is not there, or not yet, are none', async () => {
    await chapters().write(chapterOf('a.1', 0));
    const [part] = chapterOf('a.1', 1, 1).parts;
    await chapters().write({
      ...chapterOf('a.1', 1, 1),
      parts: part === undefined ? [] : [{ ...part, end: { slot: 17, hash: hash(99) } }],
    });
    await chapters().write(chapterOf('a.1', 10));
    const of = chapters();
    expect(await soundOf(of)).toEqual([0]);
    const unsound = (await of.list('a.1')).filter((one) => of.isUnsound(one)).map(({ chapter }) => chapter);
    expect(unsound).toEqual([1, 10]);
  });

  it('replace those of fewer parts, and indexes of other releases once nobody goes on with them', async () => {
    const of = chapters();
    await of.write(chapterOf('a.1', 0, 2));
    await of.write(chapterOf('b.1', 0, 2));
    for (let n = 0; n < 5; n++) await of.write(chapterOf('a.2', n));
    expect([...store.snapshots.keys()].filter((key) => !key.includes('a.2'))).toEqual([]);
    await of.write(chapterOf('a.1', 3));
    await of.write(chapterOf('a.2', 5, 1));
    await of.write(chapterOf('a.2', 5, 2));
    await of.write(chapterOf('a.2', 5));
    const kept = (await of.list('a.2')).map(({ chapter, parts }) => [chapter, parts]);
    expect(kept).toEqual([0, 1, 2, 3, 4, 5].map((n) => [n, 16]));
    expect(await of.list('a.1')).toHaveLength(1);
  });
});
