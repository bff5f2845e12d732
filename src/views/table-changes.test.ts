import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { emptyTable, entriesOf, removeIn, setIn, type Table, tableFrom } from './table.ts';
import { eachChange } from './table-changes.ts';

type Change = readonly [key: string, before: number | undefined, after: number | undefined];
const changesOf = (before: Table<number>, after: Table<number>): readonly Change[] => {
  const found: Change[] = [];
  eachChange(before, after, (...change) => found.push(change) > 0);
  return found.sort(([a], [b]) => (a < b ? -1 : 1));
};
const differences = (before: Table<number>, after: Table<number>): readonly Change[] => {
  const [old, now] = [new Map(entriesOf(before)), new Map(entriesOf(after))];
  return [...new Set([...old.keys(), ...now.keys()])]
    .sort()
    .map((key) => [key, old.get(key), now.get(key)] as const)
    .filter(([, one, other]) => one !== other);
};

describe('what changed between two tables', () => {
  it('is told once for each key, whichever was made from which, and however large', () => {
    const step = fc.tuple(fc.nat(300), fc.option(fc.nat(3)));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), fc.array(step, { maxLength: 60 }), (first, later) => {
        const made = (table: Table<number>, steps: typeof first): Table<number> =>
          steps.reduce(
            (at, [key, value]) => (value === null ? removeIn(at, `k${key}`) : setIn(at, `k${key}`, value)),
            table,
          );
        const before = made(emptyTable, first);
        const after = made(before, later);
        const apart = made(emptyTable, later);
        for (const [one, other] of [
          [before, after],
          [after, before],
          [before, apart],
          [apart, before],
        ] as const)
          expect(changesOf(one, other)).toEqual(differences(one, other));
      }),
    );
  });

  it('is told no further than is asked for', () => {
    const table = tableFrom(Array.from({ length: 500 }, (_, n) => [`k${n}`, n] as const));
    for (const [one, other] of [
      [emptyTable, table],
      [table, emptyTable],
    ] as const) {
      let told = 0;
      eachChange<number>(one, other, () => ++told < 3);
      expect(told).toBe(3);
    }
  });

  it('costs by the changes, and not by what is there', () => {
    const looked = (size: number): number => {
      const before = tableFrom(Array.from({ length: size }, (_, n) => [`k${n}`, n] as const));
      let parts = 0;
      const counted = new Proxy(setIn(before, 'k7', -1), {
        get: (table, name) => Reflect.get(table, name) as unknown,
      });
      const seen = (part: object): void => {
        parts++;
        if ('parts' in part) for (const one of part.parts as object[]) if (!shared.has(one)) seen(one);
      };
      const shared = new Set<object>();
      const gather = (part: object): void => {
        shared.add(part);
        if ('parts' in part) (part.parts as object[]).forEach(gather);
      };
      gather(before.root);
      seen(counted.root);
      expect(changesOf(before, counted)).toEqual([['k7', 7, -1]]);
      return parts;
    };
    // The path to it.
    expect(looked(100_000)).toBeLessThanOrEqual(looked(1_000) + 3);
  });
});
