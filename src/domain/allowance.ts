import { hour } from '../base/time.ts';

/** What one caller may take of something: an amount at once, and an amount per hour in the long run. */
export interface Allowance {
  readonly atOnce: number;
  readonly perHour: number;
}

/** What is left at a moment, in milliseconds of a monotonic clock. Below zero: taken in advance. */
export interface Balance {
  readonly left: number;
  readonly atMs: number;
}

/** Something that is wanted of an allowance. A caller that never took anything has no balance yet. */
export interface Wish {
  readonly allowance: Allowance;
  readonly before: Balance | undefined;
  readonly amount: number;
}

export type Taking =
  | { readonly status: 'taken'; readonly balances: readonly Balance[] }
  /**
   * Nothing was taken. The same call is granted after `waitMs` if nobody takes anything in the meantime.
   * `lacking`: the wish that waits longest.
   */
  | { readonly status: 'refused'; readonly waitMs: number; readonly lacking: number };

/** Sums of fractions of a unit are not exact. */
const rounding = 1e-6;

export function balanceAt(
  { atOnce, perHour }: Allowance,
  before: Balance | undefined,
  nowMs: number,
): Balance {
  if (before === undefined) return { left: atOnce, atMs: nowMs };
  const passed = Math.max(0, nowMs - before.atMs);
  return { left: Math.min(atOnce, before.left + (passed / hour) * perHour), atMs: nowMs };
}

/**
 * All that is wanted, or nothing. A wish that is larger than `atOnce` is granted once the allowance is full,
 * and the rest is owed: nothing waits for ever because it is large.
 */
export function takeAll(wishes: readonly Wish[], nowMs: number): Taking {
  const now = wishes.map(({ allowance, before }) => balanceAt(allowance, before, nowMs));
  const waits = wishes.map(({ allowance, amount }, i) => {
    const missing = Math.min(amount, allowance.atOnce) - (now[i]?.left ?? 0);
    return missing <= rounding ? 0 : Math.ceil((missing / allowance.perHour) * hour);
  });
  const waitMs = Math.max(0, ...waits);
  if (waitMs > 0) return { status: 'refused', waitMs, lacking: waits.indexOf(waitMs) };
  return {
    status: 'taken',
    balances: now.map(({ left, atMs }, i) => ({ left: left - (wishes[i]?.amount ?? 0), atMs })),
  };
}

/** Gives back what was taken and not used. */
export const giveBack = ({ atOnce }: Allowance, { left, atMs }: Balance, amount: number): Balance => ({
  left: Math.min(atOnce, left + amount),
  atMs,
});
