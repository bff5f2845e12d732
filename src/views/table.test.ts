import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  emptyTable,
  entriesOf,
  getIn,
  reduceValues,
  removeIn,
  setIn,
  sweepIn,
  type Table,
  tableFrom,
  valuesOf,
} from './table.ts';

const key = fc.oneof(fc.constantFrom('a', 'b', '', '__proto__', 'constructor'), fc.string({ maxLength: 3 }));
const change = fc.oneof(
  fc.record({ act: fc.constant('set' as const), key, value: fc.nat(3) }),
  fc.record({ act: fc.constant('remove' as const), key, value: fc.constant(0) }),
);

describe('a table', () => {
  it('answers like a Map after any changes, and no earlier one ever changes', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const map = new Map<string, number>();
        let table: Table<number> = emptyTable;
        const before: [Table<number>, string][] = [];
        for (const { act, key, value } of changes) {
          before.push([table, JSON.stringify(entriesOf(table))]);
          if (act === 'set') map.set(key, value);
          else map.delete(key);
          table = act === 'set' ? setIn(table, key, value) : removeIn(table, key);
          expect(table.size).toBe(map.size);
          expect(getIn(table, key)).toBe(map.get(key));
        }
        expect(new Map(entriesOf(table))).toEqual(map);
        for (const [earlier, text] of before) expect(JSON.stringify(entriesOf(earlier))).toBe(text);
      }),
    );
  });

  it('comes back from its entries, sorted', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(key, fc.nat()), { selector: ([k]) => k }), (entries) => {
        const table = tableFrom(entries);
        const keys = entriesOf(table).map(([k]) => k);
        expect(keys).toEqual(entries.map(([k]) => k).sort());
        expect(entriesOf(tableFrom(entriesOf(table)))).toEqual(entriesOf(table));
        expect(valuesOf(table)).toHaveLength(entries.length);
      }),
    );
  });

  it('is swept in 64 turns, wherever they begin, and shares what stays', () => {
    const table = tableFrom(Array.from({ length: 2_000 }, (_, n) => [`host-${n}`, n] as const));
    let swept = table;
    for (let turn = 1_000; turn < 1_064; turn++) swept = sweepIn(swept, turn, (n) => n % 3 === 0);
    expect(entriesOf(swept)).toEqual(entriesOf(table).filter(([, n]) => n % 3 === 0));
    expect(swept.size).toBe(667);
    expect(sweepIn(table, 5, () => true)).toBe(table);
  });

  it('sums over all its values', () => {
    const table = tableFrom(Array.from({ length: 100 }, (_, n) => [`host-${n}`, n] as const));
    expect(reduceValues(table, 0, (sum, n) => sum + n)).toBe(4950);
    expect(reduceValues<number, number>(emptyTable, 7, (sum, n) => sum + n)).toBe(7);
  });

  it('is the same object when nothing changes', () => {
    const value = { n: 1 };
    const table = setIn<{ n: number }>(emptyTable, 'a', value);
    expect(setIn(table, 'a', value)).toBe(table);
    expect(removeIn(table, 'b')).toBe(table);
    expect(setIn(table, 'a', { n: 1 })).not.toBe(table);
  });

  it('shares all but a bucket with the one before, among 10,000 entries', () => {
    const ids = Array.from({ length: 10_000 }, (_, i) => `${(i * 7919).toString(16)}-0000-4000-8000-${i}`);
    const table = tableFrom(ids.map((id, i) => [id, i] as const));
    const next = setIn(table, ids[77] ?? '', -1);
    const copied = next.buckets.filter((bucket, i) => bucket !== table.buckets[i]);
    expect(copied).toHaveLength(1);
    const sizes = table.buckets.flatMap((level) => (level ?? []).map((entries) => entries?.length ?? 0));
    expect(Math.max(...sizes)).toBeLessThan(30);
  });
});
