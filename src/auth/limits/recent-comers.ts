/** How often each of many came lately. */
export interface RecentComers {
  /**
   * Counts this one; answers how often it came in the last minute or two before. `now` is in milliseconds,
   * never set.
   */
  count(key: string, now: number): number;
}

const windowMs = 60_000;
/**
 * So many are remembered. Who is not counts as new: the line has to bear more of those than there are anyway.
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
