import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { authenticityOf } from './authenticity.ts';
import { probeOf } from './name-filter.ts';
import { type Chapter, chapterBytes, filterOf, partsInChapter, readChapter } from './term-chapter.ts';

const authenticity = authenticityOf(Buffer.alloc(32, 7));
const id = { partition: 'audit', terms: 'reported.1', chapter: 3 };
const trust = { authenticity, isAuthentic: true };
const hash = (n: number): Buffer => Buffer.alloc(32, n);
const chapterOf = (parts: readonly (readonly string[])[]): Chapter => ({
  id,
  from: { slot: 4, hash: hash(4) },
  parts: parts.map((terms, i) => ({
    end: { slot: 5 + i, hash: hash(5 + i) },
    filter: filterOf(new Set(terms)),
  })),
});

describe('a chapter of an index of terms', () => {
  it('is read as it was written, with every term in it', () => {
    const terms = fc.array(fc.string(), { maxLength: 40 });
    fc.assert(
      fc.property(fc.array(terms, { minLength: 1, maxLength: partsInChapter }), (parts) => {
        const chapter = chapterOf(parts);
        const read = readChapter(chapterBytes(chapter, authenticity), id, trust);
        expect(read).toEqual(chapter);
        for (const [i, of] of parts.entries())
          for (const term of of) expect(read.parts[i]?.filter.mayHold(probeOf(term))).toBe(true);
      }),
    );
  });

  it('is refused when any of its bytes was changed, or it was cut', () => {
    const bytes = chapterBytes(chapterOf([['a', 'b'], ['c']]), authenticity);
    const at = fc.integer({ min: 0, max: bytes.length - 1 });
    fc.assert(
      fc.property(at, fc.integer({ min: 1, max: 255 }), fc.boolean(), (where, by, cut) => {
        const spoilt = Buffer.from(cut ? bytes.subarray(0, where) : bytes);
        if (!cut) spoilt[where] = (spoilt[where] ?? 0) ^ by;
        expect(() => readChapter(spoilt, id, trust)).toThrow(expect.objectContaining({ code: 'damaged' }));
      }),
    );
  });

  it('is refused in the place of another, under another key, and without a MAC where the log has them', () => {
    const chapter = chapterOf([['a']]);
    const bytes = chapterBytes(chapter, authenticity);
    const refused = expect.objectContaining({ code: 'damaged' }) as Error;
    for (const other of [{ partition: 'state' }, { terms: 'reported.2' }, { chapter: 4 }])
      expect(() => readChapter(bytes, { ...id, ...other }, trust)).toThrow(refused);
    const stranger = { ...trust, authenticity: authenticityOf(Buffer.alloc(32, 8)) };
    expect(() => readChapter(bytes, id, stranger)).toThrow(refused);
    const plain = chapterBytes(chapter, undefined);
    expect(() => readChapter(plain, id, trust)).toThrow(refused);
    expect(readChapter(plain, id, { ...trust, isAuthentic: false })).toEqual(chapter);
    // Who has no key does not check MACs, as everywhere.
    expect(readChapter(bytes, id, { authenticity: undefined, isAuthentic: true })).toEqual(chapter);
  });
});
