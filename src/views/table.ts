/**
 * A map that is never changed: `setIn` answers a new one that shares all but two small arrays with the old.
 * Two levels of 64 buckets: among 10,000 entries an update copies about 130 pointers.
 */
export interface Table<V> {
  readonly size: number;
  readonly buckets: readonly (Level<V> | undefined)[];
}

type Level<V> = readonly (readonly Entry<V>[] | undefined)[];
type Entry<V> = readonly [key: string, value: V];

const width = 64;

/** Holds nothing, so it fits every `V`. */
export const emptyTable: Table<never> = { size: 0, buckets: [] };

export function getIn<V>(table: Table<V>, key: string): V | undefined {
  const hash = hashOf(key);
  return table.buckets[hash % width]?.[(hash >>> 6) % width]?.find(([k]) => k === key)?.[1];
}

/** Answers the same table when the key has this very value already. */
export function setIn<V>(table: Table<V>, key: string, value: V): Table<V> {
  const entries = entriesNear(table, key);
  const at = entries.findIndex(([k]) => k === key);
  if (at < 0) return withEntries(table, key, [...entries, [key, value]], 1);
  return entries[at]?.[1] === value ? table : withEntries(table, key, entries.with(at, [key, value]), 0);
}

/** Answers the same table when the key is not there. */
export function removeIn<V>(table: Table<V>, key: string): Table<V> {
  const entries = entriesNear(table, key);
  const rest = entries.filter(([k]) => k !== key);
  return rest.length === entries.length ? table : withEntries(table, key, rest, -1);
}

/**
 * Leaves out the entries of one part of the table (`turn` modulo 64) that `keep` refuses: who does so with each turn in
 * order has looked at every entry after 64. Answers the same table when all of them stay.
 */
export function sweepIn<V>(table: Table<V>, turn: number, keep: (value: V) => boolean): Table<V> {
  const level = table.buckets[turn % width];
  const gone = level?.flatMap((entries) => entries?.filter(([, value]) => !keep(value)) ?? []) ?? [];
  return gone.reduce((left, [key]) => removeIn(left, key), table);
}

/** All entries, sorted by key. */
export const entriesOf = <V>(table: Table<V>): readonly Entry<V>[] =>
  table.buckets
    .flatMap((level) => level ?? [])
    .flatMap((entries) => entries ?? [])
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));

/** Folds over all values, in no order: without the cost of sorting them. */
export function reduceValues<V, A>(table: Table<V>, start: A, step: (sum: A, value: V) => A): A {
  let sum = start;
  for (const level of table.buckets)
    for (const entries of level ?? []) for (const [, value] of entries ?? []) sum = step(sum, value);
  return sum;
}

export const valuesOf = <V>(table: Table<V>): readonly V[] => entriesOf(table).map(([, value]) => value);

export const tableFrom = <V>(entries: Iterable<Entry<V>>): Table<V> => {
  let table: Table<V> = emptyTable;
  for (const [key, value] of entries) table = setIn(table, key, value);
  return table;
};

const entriesNear = <V>(table: Table<V>, key: string): readonly Entry<V>[] => {
  const hash = hashOf(key);
  return table.buckets[hash % width]?.[(hash >>> 6) % width] ?? [];
};

function withEntries<V>(table: Table<V>, key: string, entries: readonly Entry<V>[], grown: number): Table<V> {
  const hash = hashOf(key);
  const outer = hash % width;
  const level = placed(table.buckets[outer] ?? [], (hash >>> 6) % width, entries);
  return { size: table.size + grown, buckets: placed(table.buckets, outer, level) };
}

/** Always all buckets, none left out: copying such an array is one move of memory. */
function placed<T>(array: readonly (T | undefined)[], index: number, value: T): (T | undefined)[] {
  const copy = array.length === width ? array.slice() : new Array<T | undefined>(width).fill(undefined);
  copy[index] = value;
  return copy;
}

/** FNV-1a over UTF-16 units: spreads names and UUIDs well. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193) >>> 0;
  return (hash ^ (hash >>> 15)) >>> 0;
}
