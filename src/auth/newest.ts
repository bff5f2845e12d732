/** Limits of what is kept: the number of items and their total bytes, whatever the size of each. */
export interface NewestLimits<T> {
  readonly items: number;
  readonly bytes: number;
  bytesOf(item: T): number;
}

/**
 * Keeps the greatest of the items it is given, in bounded memory. `compare` orders them; `sorted()` returns
 * them in ascending order.
 */
export interface Newest<T> {
  add(item: T): void;
  sorted(): T[];
  /** Whether some were left out. */
  truncated(): boolean;
}

export function newest<T>(limits: NewestLimits<T>, compare: (a: T, b: T) => number): Newest<T> {
  let kept: { readonly item: T; readonly bytes: number }[] = [];
  let bytes = 0;
  let left = false;
  const cut = (): void => {
    kept.sort((a, b) => compare(a.item, b.item));
    let first = 0;
    while (kept.length - first > limits.items || bytes > limits.bytes) {
      const gone = kept[first];
      // The newest is kept, however large.
      if (gone === undefined || first === kept.length - 1) break;
      bytes -= gone.bytes;
      first++;
    }
    if (first === 0) return;
    kept = kept.slice(first);
    left = true;
  };
  return {
    add: (item) => {
      const size = limits.bytesOf(item);
      kept.push({ item, bytes: size });
      bytes += size;
      if (kept.length >= 2 * limits.items + 100 || bytes > 2 * limits.bytes) cut();
    },
    sorted: () => {
      cut();
      return kept.map(({ item }) => item);
    },
    truncated: () => left,
  };
}
