import { emptyTable, entriesOf, getIn, removeIn, setIn, type Table, tableFrom } from './table.ts';

/** Ids by a key that many may share. One more under a key costs the same however many are there already. */
export type IdIndex = Table<Table<true>>;

export const noIds: IdIndex = emptyTable;

export const withId = (index: IdIndex, key: string, id: string): IdIndex =>
  setIn(index, key, setIn(getIn(index, key) ?? emptyTable, id, true));

export function withoutId(index: IdIndex, key: string, id: string): IdIndex {
  const others = removeIn(getIn(index, key) ?? emptyTable, id);
  return others.size === 0 ? removeIn(index, key) : setIn(index, key, others);
}

/** Of all at once. */
export function idIndexOf(pairs: Iterable<readonly [key: string, id: string]>): IdIndex {
  const byKey = new Map<string, [string, true][]>();
  for (const [key, id] of pairs) {
    const ids = byKey.get(key);
    if (ids === undefined) byKey.set(key, [[id, true]]);
    else ids.push([id, true]);
  }
  return tableFrom(Array.from(byKey, ([key, ids]) => [key, tableFrom(ids)] as const));
}

/** Sorted. */
export function idsUnder(index: IdIndex, key: string): readonly string[] {
  const ids = getIn(index, key);
  return ids === undefined ? [] : entriesOf(ids).map(([id]) => id);
}
