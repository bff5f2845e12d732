import { describe, expect, it } from 'vitest';
import type { StoredSlot } from '../../src/log/slot-driver.ts';
import { collect } from '../../src/log/testing.ts';
import { type Lanes, mergeLanes } from './lanes.ts';

/**
 * A store whose slots are `present` when a page is read; `beforePage` lets others write or delete in between.
 */
function store(
  count: number,
  present: Set<number>,
  beforePage: (lane: number) => void = () => undefined,
  trimmedBefore: () => number = () => 0,
): Lanes & { readonly pages: number } {
  const source = {
    count,
    pages: 0,
    page: async (lane: number, from: number, limit: number) => {
      source.pages++;
      beforePage(lane);
      const found = [...present]
        .filter((slot) => slot % count === lane && slot >= from)
        .sort((a, b) => a - b)
        .map((slot): StoredSlot => ({ slot, batch: new Uint8Array() }));
      await Promise.resolve();
      return { slots: found.slice(0, limit), more: found.length > limit };
    },
    begin: () => Promise.resolve(trimmedBefore()),
    trimmedBefore: () => Promise.resolve(trimmedBefore()),
  };
  return source;
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);
const slotsOf = async (source: Lanes, from: number): Promise<number[]> =>
  (await collect(mergeLanes(source, from))).map((one) => one.slot);

describe('reading slots that are spread over lanes', () => {
  it.each([1, 4])('gives all in order, from any of them: %s lanes', async (count) => {
    const present = new Set(range(1, 300));
    for (const from of [1, 2, 7, 150, 299, 300, 301])
      expect(await slotsOf(store(count, present), from)).toEqual(range(from, 300));
    expect(await slotsOf(store(count, new Set()), 1)).toEqual([]);
  });

  it('misses no slot that was written between the looks at two lanes, the first one least of all', async () => {
    for (const from of [9, 10, 11, 12]) {
      const sound = store(4, new Set(range(1, from + 6)));
      let before = true;
      // The lane of `from` was looked at before seven slots were written, the others after.
      const torn: Lanes = {
        ...sound,
        page: async (lane, first, limit) => {
          if (lane !== from % 4 || !before) return sound.page(lane, first, limit);
          before = false;
          return { slots: [], more: false };
        },
      };
      expect(await slotsOf(torn, from)).toEqual(range(from, from + 6));
    }
  });

  it('is never given a gap while a writer goes on', async () => {
    const present = new Set(range(1, 3));
    let last = 3;
    const source = store(4, present, () => {
      for (let n = 0; n < 3 && last < 400; n++) present.add(++last);
    });
    const seen = await slotsOf(source, 1);
    expect(seen).toEqual(range(1, seen.length));
    expect(seen.length).toBeGreaterThan(100);
  });

  it('begins after what was trimmed, and takes half a deletion for a whole one', async () => {
    expect(
      await slotsOf(
        store(4, new Set(range(50, 60)), undefined, () => 50),
        1,
      ),
    ).toEqual(range(50, 60));
    const half = new Set([3, 5, 6, 20, 41, ...range(50, 60)]);
    expect(
      await slotsOf(
        store(4, half, undefined, () => 50),
        1,
      ),
    ).toEqual(range(50, 60));
    expect(
      await slotsOf(
        store(1, half, undefined, () => 50),
        1,
      ),
    ).toEqual(range(50, 60));
  });

  it('gives nothing before the floor though it lies there yet, and reads no page twice for it', async () => {
    const source = store(4, new Set(range(1, 60)), undefined, () => 50);
    expect(await slotsOf(source, 47)).toEqual(range(50, 60));
    expect(source.pages).toBe(4);
  });

  it('gives nothing at all when it must not begin', async () => {
    const refusing = { ...store(4, new Set(range(1, 9))), begin: () => Promise.reject(new Error('not so')) };
    await expect(slotsOf(refusing, 1)).rejects.toThrow('not so');
  });

  it('shows a hole that is no deletion: the log calls it damage', async () => {
    const holed = new Set([...range(1, 9), ...range(12, 30)]);
    for (const count of [1, 4])
      expect(await slotsOf(store(count, holed), 1)).toEqual([...range(1, 9), ...range(12, 30)]);
  });

  it('reads little for who wants the first slot only', async () => {
    const source = store(4, new Set(range(1, 5_000)));
    for await (const one of mergeLanes(source, 1)) {
      expect(one.slot).toBe(1);
      break;
    }
    expect(source.pages).toBe(4);
  });
});
