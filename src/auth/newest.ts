/**
 * Keeps the greatest `limit` of the items it is given, in bounded memory.
 * `compare` orders them; `sorted()` answers ascending.
 */
export interface Newest<T> {
  add(item: T): void;
  sorted(): T[];
  /** Some were left out. */
  truncated(): boolean;
}

export function newest<T>(limit: number, compare: (a: T, b: T) => number): Newest<T> {
  let kept: T[] = [];
  let left = false;
  const cut = (): void => {
    kept.sort(compare);
    if (kept.length <= limit) return;
    kept = kept.slice(-limit);
    left = true;
  };
  return {
    add: (item) => {
      kept.push(item);
      if (kept.length >= 2 * limit + 100) cut();
    },
    sorted: () => {
      cut();
      return kept;
    },
    truncated: () => left,
  };
}
