import { describe, expect, it } from 'vitest';
import { newest } from './newest.ts';

const byValue = (a: { at: number }, b: { at: number }): number => a.at - b.at;
const limits = (items: number, bytes: number) => ({
  items,
  bytes,
  bytesOf: ({ text = '' }: { at: number; text?: string }) => text.length,
});

describe('the newest of what is found', () => {
  it('are so many, in order, however they came', () => {
    const found = newest(limits(3, 1_000), byValue);
    for (let n = 0; n < 1_000; n++) found.add({ at: (n * 7919) % 1_000 });
    expect(found.sorted().map(({ at }) => at)).toEqual([997, 998, 999]);
    expect(found.truncated()).toBe(true);
  });

  it('are fewer where they are large, and it says so', () => {
    const found = newest(limits(100, 1_000), byValue);
    for (let n = 0; n < 50; n++) found.add({ at: n, text: 'x'.repeat(300) });
    expect(found.sorted().map(({ at }) => at)).toEqual([47, 48, 49]);
    expect(found.truncated()).toBe(true);
  });

  it('are at least one, and all where they fit', () => {
    const found = newest(limits(2, 10), byValue);
    found.add({ at: 1, text: 'x'.repeat(50) });
    expect([found.sorted().length, found.truncated()]).toEqual([1, false]);
  });
});
