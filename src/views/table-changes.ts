import type { Part, Table } from './table.ts';

/**
 * A key whose value is another one now; undefined: the key was not there, or is not any more.
 * @returns whether to go on.
 */
export type TellChange<V> = (key: string, before: V | undefined, after: V | undefined) => boolean;

/**
 * Tells every key whose value differs between two tables, in no order. Costs a few steps for each change
 * since one of them was made from the other, however large they are: what they share is not looked at.
 */
export function eachChange<V>(before: Table<V>, after: Table<V>, tell: TellChange<V>): void {
  compare(before.root, after.root, tell);
}

function compare<V>(before: Part<V>, after: Part<V>, tell: TellChange<V>): boolean {
  if (before === after) return true;
  if ('parts' in before && 'parts' in after)
    return before.parts.every((part, at) => {
      const other = after.parts[at];
      return other === undefined || compare(part, other, tell);
    });
  const left = new Map<string, V>();
  collect(before, left);
  const come = new Map<string, V>();
  collect(after, come);
  for (const [key, value] of come) {
    const known = left.get(key);
    if (known !== value && !tell(key, known, value)) return false;
    left.delete(key);
  }
  for (const [key, value] of left) if (!tell(key, value, undefined)) return false;
  return true;
}

function collect<V>(part: Part<V>, found: Map<string, V>): void {
  if ('entries' in part) for (const [key, value] of part.entries) found.set(key, value);
  else for (const one of part.parts) collect(one, found);
}
