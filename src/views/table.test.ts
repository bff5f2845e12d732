import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  emptyTable,
  entriesOf,
  findKey,
  getIn,
  keysAfter,
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
  it('has the first keys behind one, sorted, as many as are asked for', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(key, { maxLength: 40 }),
        key,
        fc.integer({ min: 1, max: 6 }),
        (keys, after, n) => {
          const table = tableFrom(keys.map((one) => [one, 0]));
          const behind = keys.filter((one) => one > after).sort();
          expect(keysAfter(table, after, n)).toEqual(behind.slice(0, n));
        },
      ),
    );
  });

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

  it.each([1, 2, 10, 64])(
    'is swept by and by in turns, %d from one to the next, a few entries each',
    (pace) => {
      const table = tableFrom(Array.from({ length: 2_000 }, (_, n) => [`host-${n}`, n] as const));
      let swept = table;
      for (let turn = 0; turn < 1_000; turn++) {
        let seen = 0;
        swept = sweepIn(swept, 1_000 + turn * pace, (n) => {
          seen++;
          return n % 3 === 0;
        });
        expect(seen).toBeLessThan(64);
      }
      expect(entriesOf(swept)).toEqual(entriesOf(table).filter(([, n]) => n % 3 === 0));
      expect(swept.size).toBe(667);
      expect(sweepIn(table, 5, () => true)).toBe(table);
    },
  );

  it('loses the same to a turn, however it came about', () => {
    const ids = Array.from({ length: 3_000 }, (_, n) => `host-${n}`);
    let grown: Table<number> = emptyTable;
    for (const [n, id] of ids.entries()) grown = setIn(grown, id, n);
    for (const id of ids.slice(500)) grown = removeIn(grown, id);
    const read = tableFrom(entriesOf(grown));
    for (let turn = 0; turn < 50; turn++)
      expect(entriesOf(sweepIn(grown, turn, () => false))).toEqual(
        entriesOf(sweepIn(read, turn, () => false)),
      );
    expect(sweepIn(read, 1, () => false).size).toBeLessThan(500);
  });

  it('finds an entry by what it is, and sums over all its values', () => {
    const table = tableFrom(Array.from({ length: 100 }, (_, n) => [`host-${n}`, n] as const));
    expect(findKey(table, (key, n) => key.startsWith('host-') && n === 77)).toBe('host-77');
    expect(findKey(table, (_key, n) => n === 100)).toBeUndefined();
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

  it.each([1_000, 100_000])(
    'shares all but a few small arrays with the one before, among %d entries',
    (count) => {
      const ids = Array.from({ length: count }, (_, i) => `${(i * 7919).toString(16)}-0000-4000-8000-${i}`);
      const table = tableFrom(ids.map((id, i) => [id, i] as const));
      const old = arraysOf(table.root, new Set());
      for (const next of [
        setIn(table, ids[77] ?? '', -1),
        setIn(table, 'new', 0),
        removeIn(table, ids[5] ?? ''),
      ]) {
        const copied = [...arraysOf(next.root, new Set())].filter((one) => !old.has(one));
        expect(copied.reduce((sum, one) => sum + one.length, 0)).toBeLessThan(250);
      }
    },
  );
});

/** The arrays that a table lies in. */
function arraysOf(part: Table<unknown>['root'], found: Set<readonly unknown[]>): Set<readonly unknown[]> {
  if ('entries' in part) return found.add(part.entries);
  for (const one of part.parts) arraysOf(one, found);
  return found.add(part.parts);
}
