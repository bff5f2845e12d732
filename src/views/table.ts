import { hashOf } from '../base/hash-of.ts';

/**
 * A map that is never changed: `setIn` returns a new one that shares all but a few small arrays with the old.
 * A tree of 16 branches over the bits of the key's hash, which grows with its content: an operation on one
 * entry takes the same few steps among a hundred and among a million.
 */
export interface Table<V> {
  readonly size: number;
  readonly root: Part<V>;
}

/** The entries under one path: a few of them, or 16 parts by the next bits of the hash. */
export type Part<V> = Leaf<V> | Branch<V>;
interface Leaf<V> {
  readonly entries: readonly Entry<V>[];
}
interface Branch<V> {
  readonly parts: readonly Part<V>[];
}
export type Entry<V> = readonly [key: string, value: V];

const bitsOfLevel = 4;
const width = 1 << bitsOfLevel;
const bitsOfHash = 32;
/** A larger leaf is divided, as long as the hash has bits left. */
const mostInLeaf = 32;
/** Entries that one turn of `sweepIn` examines: at least this many, and less than twice as many. */
const leastInTurn = 8;

const emptyLeaf: Leaf<never> = { entries: [] };
/** Empty, so it fits every `V`. */
export const emptyTable: Table<never> = { size: 0, root: emptyLeaf };

export const getIn = <V>(table: Table<V>, key: string): V | undefined => entryOf(table, key)?.[1];

/** Returns the same table when the key already has this very value. */
export function setIn<V>(table: Table<V>, key: string, value: V): Table<V> {
  const known = entryOf(table, key);
  if (known && known[1] === value) return table;
  return {
    size: table.size + (known ? 0 : 1),
    root: withEntry(table.root, hashOf(key), 0, [key, value]),
  };
}

/** Returns the same table when the key is not there. */
export function removeIn<V>(table: Table<V>, key: string): Table<V> {
  if (!entryOf(table, key)) return table;
  return { size: table.size - 1, root: withoutEntry(table.root, hashOf(key), 0, key) };
}

/**
 * Removes the entries that `keep` refuses among some ten of all; `turn` selects which ones. A caller that
 * passes each turn in order, whatever the step between them, reaches every entry again and again, and no turn
 * costs more in a large table than in a small one. The same entries and turn give the same table, however it
 * was built.
 */
export function sweepIn<V>(table: Table<V>, turn: number, keep: (value: V) => boolean): Table<V> {
  const bits = Math.max(0, Math.floor(Math.log2(table.size / leastInTurn)));
  // By the golden ratio: consecutive turns, and every second or tenth one, spread evenly.
  const path = bits === 0 ? 0 : Math.imul(turn, 0x9e3779b1) >>> (bitsOfHash - bits);
  let left = table;
  eachUnder(table.root, { path, bits, depth: 0 }, ([key, value]) => {
    if (!keep(value)) left = removeIn(left, key);
  });
  return left;
}

/** All entries, sorted by key. */
export function entriesOf<V>(table: Table<V>): readonly Entry<V>[] {
  const entries: Entry<V>[] = [];
  eachIn(table.root, (entry) => entries.push(entry));
  return entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** The first `atMost` keys behind `after`, sorted: looks at all of them, but sorts hardly more than these. */
export function keysAfter<V>(table: Table<V>, after: string, atMost: number): readonly string[] {
  let first: string[] = [];
  let bound: string | undefined;
  eachIn(table.root, ([key]) => {
    if (key <= after || (bound !== undefined && key > bound)) return;
    first.push(key);
    if (first.length < 2 * atMost) return;
    first = first.sort().slice(0, atMost);
    bound = first.at(-1);
  });
  return first.sort().slice(0, atMost);
}

/** The key of an entry for which `is` holds: looks at all of them, but sorts none. */
export function findKey<V>(table: Table<V>, is: (key: string, value: V) => boolean): string | undefined {
  let found: string | undefined;
  eachIn(table.root, ([key, value]) => {
    if (is(key, value)) found = key;
  });
  return found;
}

/** Folds over all values, in no order: without the cost of sorting them. */
export function reduceValues<V, A>(table: Table<V>, start: A, step: (sum: A, value: V) => A): A {
  let sum = start;
  eachIn(table.root, ([, value]) => {
    sum = step(sum, value);
  });
  return sum;
}

export const valuesOf = <V>(table: Table<V>): readonly V[] => entriesOf(table).map(([, value]) => value);

/** If a key occurs twice the later entry counts. */
export function tableFrom<V>(entries: Iterable<Entry<V>>): Table<V> {
  const byKey = new Map<string, Hashed<V>>();
  for (const entry of entries) byKey.set(entry[0], { hash: hashOf(entry[0]), entry });
  return { size: byKey.size, root: built([...byKey.values()], 0) };
}

interface Hashed<V> {
  readonly hash: number;
  readonly entry: Entry<V>;
}

function built<V>(hashed: readonly Hashed<V>[], depth: number): Part<V> {
  if (hashed.length <= mostInLeaf || depth >= bitsOfHash)
    return { entries: hashed.map(({ entry }) => entry) };
  const groups = Array.from({ length: width }, (): Hashed<V>[] => []);
  for (const one of hashed) groups[branchAt(one.hash, depth)]?.push(one);
  return {
    parts: groups.map((group) => (group.length === 0 ? emptyLeaf : built(group, depth + bitsOfLevel))),
  };
}

function entryOf<V>(table: Table<V>, key: string): Entry<V> | undefined {
  const hash = hashOf(key);
  let part: Part<V> = table.root;
  for (let depth = 0; 'parts' in part; depth += bitsOfLevel)
    part = part.parts[branchAt(hash, depth)] ?? emptyLeaf;
  return part.entries.find(([known]) => known === key);
}

function withEntry<V>(part: Part<V>, hash: number, depth: number, entry: Entry<V>): Part<V> {
  if ('parts' in part) {
    const at = branchAt(hash, depth);
    return {
      parts: part.parts.with(at, withEntry(part.parts[at] ?? emptyLeaf, hash, depth + bitsOfLevel, entry)),
    };
  }
  const at = part.entries.findIndex(([known]) => known === entry[0]);
  const entries = at < 0 ? [...part.entries, entry] : part.entries.with(at, entry);
  if (entries.length <= mostInLeaf) return { entries };
  return built(
    entries.map((one) => ({ hash: hashOf(one[0]), entry: one })),
    depth,
  );
}

function withoutEntry<V>(part: Part<V>, hash: number, depth: number, key: string): Part<V> {
  if (!('parts' in part)) return { entries: part.entries.filter(([known]) => known !== key) };
  const at = branchAt(hash, depth);
  const parts = part.parts.with(
    at,
    withoutEntry(part.parts[at] ?? emptyLeaf, hash, depth + bitsOfLevel, key),
  );
  return parts.every(isEmpty) ? emptyLeaf : { parts };
}

const isEmpty = (part: Part<unknown>): boolean => 'entries' in part && part.entries.length === 0;

function eachIn<V>(part: Part<V>, tell: (entry: Entry<V>) => void): void {
  if ('entries' in part) part.entries.forEach(tell);
  else for (const one of part.parts) eachIn(one, tell);
}

/** Those whose hash ends in the last `bits` bits of `path`. */
function eachUnder<V>(
  part: Part<V>,
  { path, bits, depth }: { readonly path: number; readonly bits: number; readonly depth: number },
  tell: (entry: Entry<V>) => void,
): void {
  if (bits <= depth) eachIn(part, tell);
  else if ('entries' in part) {
    const ends = 2 ** bits - 1;
    for (const entry of part.entries) if (((hashOf(entry[0]) ^ path) & ends) === 0) tell(entry);
  } else {
    const fixed = (1 << Math.min(bitsOfLevel, bits - depth)) - 1;
    for (const [at, one] of part.parts.entries())
      if (((at ^ branchAt(path, depth)) & fixed) === 0)
        eachUnder(one, { path, bits, depth: depth + bitsOfLevel }, tell);
  }
}

const branchAt = (hash: number, depth: number): number => (hash >>> depth) % width;
