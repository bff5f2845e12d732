/** Numbers that follow from a seed, and from nothing else. */
export interface Random {
  /** From 0 to `end` - 1. */
  below(end: number): number;
  between(from: number, to: number): number;
  oneOf<T>(list: readonly T[]): T;
  /** Each with the given chance, at least one. */
  some<T>(list: readonly T[], chance: number): readonly T[];
  chance(share: number): boolean;
}

/** Mulberry32, by Tommy Ettinger: small, and even enough for a schedule. */
export function randomOf(seed: number): Random {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (end: number): number => Math.floor(next() * end);
  const oneOf = <T>(list: readonly T[]): T => {
    const found = list[below(list.length)];
    if (found === undefined) throw new Error('nothing to choose from');
    return found;
  };
  return {
    below,
    between: (from, to) => from + below(to - from + 1),
    oneOf,
    some: (list, chance) => {
      const chosen = list.filter(() => next() < chance);
      return chosen.length > 0 ? chosen : [oneOf(list)];
    },
    chance: (share) => next() < share,
  };
}
