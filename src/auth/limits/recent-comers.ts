/** How many times each of many callers came lately. */
export interface RecentComers {
  /**
   * Counts this one; returns how many times it came in the last minute or two before. `now` is in
   * milliseconds of a monotonic clock.
   */
  count(key: string, now: number): number;
}

const windowMs = 60_000;
/**
 * How many are remembered. Any other counts as new: the line must cope with more new callers than that
 * anyway.
 */
const maxRemembered = 20_000;

export function recentComers(): RecentComers {
  let begun = -Infinity;
  let current = new Map<string, number>();
  let before = new Map<string, number>();
  return {
    count: (key, now) => {
      if (now - begun >= windowMs) {
        before = now - begun < 2 * windowMs ? current : new Map<string, number>();
        current = new Map<string, number>();
        begun = now;
      }
      const counted = current.get(key);
      if (counted !== undefined || current.size < maxRemembered) current.set(key, (counted ?? 0) + 1);
      return (counted ?? 0) + (before.get(key) ?? 0);
    },
  };
}
