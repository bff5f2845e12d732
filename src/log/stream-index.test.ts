import { describe, expect, it } from 'vitest';
import type { IndexEntry } from './index-run.ts';
import { merged, sortedSlices } from './index-merge.ts';
import { NameFilter, probeOf } from './name-filter.ts';
import { extended, forgotten, HeapStreams, type SparseIndex } from './stream-index.ts';
import { collect } from './testing.ts';

describe('a sparse index', () => {
  const long = (slots: number): SparseIndex => {
    let index: SparseIndex | undefined;
    for (let slot = 1; slot <= slots; slot++) index = extended(index, slot * 3, slot);
    if (index === undefined) throw new Error('at least one slot');
    return index;
  };

  it('has the first and the last slot, and others the further apart the older they are', () => {
    const { slots, firstRevisions, revision } = long(100_000);
    expect([slots.length, slots[0], slots.at(-1), revision]).toEqual([12, 3, 300_000, 100_000]);
    expect(slots).toEqual(firstRevisions.map((one) => one * 3));
    // To read what came after any of them, not many times as much is read.
    const ages = slots.map((one) => 300_000 - one + 3);
    for (const [i, age] of ages.entries()) if (i > 0) expect((ages[i - 1] ?? 0) / age).toBeLessThan(10);
  });

  it('goes on within a slot, and leaves the one before it as it was', () => {
    const before = extended(undefined, 5, 1);
    const after = extended(before, 5, 2);
    expect([before.revision, after.revision, after.slots]).toEqual([1, 2, [5]]);
  });

  it('forgets what was trimmed, never the last', () => {
    const index = { revision: 9, slots: [10, 20, 30], firstRevisions: [1, 4, 7], sparse: true } as const;
    expect(forgotten(index, 25)).toMatchObject({ slots: [20, 30], firstRevisions: [4, 7] });
    expect(forgotten(index, 99)).toMatchObject({ revision: 9, slots: [30] });
    expect(forgotten(index, 10)).toBe(index);
  });
});

describe('the indexes of a partition that is never trimmed', () => {
  const entriesIn = (streams: HeapStreams): number =>
    Array.from(streams.entries(), ([, { slots }]) => slots.length).reduce((sum, n) => sum + n, 0);
  const written = (streams: HeapStreams, slots: number): void => {
    for (let slot = 1; slot <= slots; slot++)
      streams.add(`user-${slot % 20}`, slot, Math.floor((slot - 1) / 20) + 1);
  };

  it('grow with the streams and not with their age once there are many entries', () => {
    const [one, other] = [new HeapStreams(500), new HeapStreams(500)];
    written(one, 400);
    expect([entriesIn(one), one.get('user-1')?.sparse]).toEqual([400, undefined]);
    written(other, 40_000);
    expect(entriesIn(other)).toBe(20 * 12);
    expect(other.get('user-1')).toMatchObject({ revision: 2_000, sparse: true });
    other.add('user-new', 40_001, 1);
    expect(other.get('user-new')).toEqual({ revision: 1, slots: [40_001], firstRevisions: [1] });
  });

  it('are the same from a snapshot, and go on so', () => {
    const [one, other] = [new HeapStreams(500), new HeapStreams(500)];
    written(one, 40_000);
    for (const [name, index] of one.entries()) other.restore(name, index);
    for (const streams of [one, other])
      for (let n = 0; n < 2_000; n++) streams.add('user-late', 40_001 + 20 * n, n + 1);
    expect([...other.entries()]).toEqual([...one.entries()]);
    expect(other.get('user-late')?.sparse).toBe(true);
  });

  it('become small at the next event when an earlier release wrote them whole', () => {
    const streams = new HeapStreams(500);
    const slots = Array.from({ length: 1_000 }, (_, i) => 20 * i + 1);
    streams.restore('user-1', { revision: 1_000, slots, firstRevisions: slots.map((_, i) => i + 1) });
    streams.add('user-2', 20_001, 1);
    expect(entriesIn(streams)).toBe(13);
  });

  it('forget what was trimmed, never the last entry of a sparse one', () => {
    const streams = new HeapStreams(500);
    written(streams, 40_000);
    streams.forgetBefore(50_000);
    expect(entriesIn(streams)).toBe(20);
    expect(streams.get('user-1')?.revision).toBe(2_000);
  });
});

describe('merging entries', () => {
  const entry = (name: string, revision: number): IndexEntry => [name, revision, [], []];

  it('has each name once, in order, as the newest source has it', async () => {
    const names = Array.from({ length: 5_000 }, (_, i) => String((i * 7_919) % 5_000).padStart(4, '0'));
    const newer = await sortedSlices(names.slice(0, 3_000).map((name) => entry(name, 2)));
    const older = await sortedSlices(names.map((name) => entry(name, 1)));
    const all = (await collect(merged([...newer, ...older]))).flat();
    expect(all.map(([name]) => name)).toEqual([...names].sort());
    expect(all.filter(([, revision]) => revision === 2)).toHaveLength(3_000);
  });
});

describe('a filter of names', () => {
  it('lets through what was added, and little else', () => {
    const filter = NameFilter.for(2_000);
    for (let n = 0; n < 2_000; n++) filter.add(`in-${n}`);
    const through = (prefix: string): number =>
      Array.from({ length: 2_000 }, (_, n) => filter.mayHold(probeOf(`${prefix}-${n}`))).filter(Boolean)
        .length;
    expect(through('in')).toBe(2_000);
    expect(through('out')).toBeLessThan(12);
  });
});
