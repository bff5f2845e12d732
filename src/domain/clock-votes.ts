import { clockToleranceMs } from '../base/clock-tolerance.ts';

/** What is known of another machine's clock: how many milliseconds it is ahead of ours. Negative: behind. */
export interface ClockVote {
  /** Host id. */
  readonly who: string;
  readonly aheadMs: number;
}

export type ClockVerdict =
  /** Nobody's clock differs from ours by more than `clockToleranceMs`. */
  | { readonly status: 'agreed' }
  /** Most clocks agree with ours; these do not. */
  | { readonly status: 'others_wrong'; readonly differing: readonly ClockVote[] }
  /** These differ from ours, and it cannot be decided whose clock is right. */
  | { readonly status: 'undecided'; readonly differing: readonly ClockVote[] }
  /**
   * Most clocks agree with each other and not with ours, which is this far ahead of them (negative: behind).
   */
  | {
      readonly status: 'own_wrong';
      readonly aheadMs: number;
      readonly agreeing: number;
      readonly heard: number;
    };

/**
 * Whose clock is wrong, judged by the time that each machine reports. A clock is right when more than half of
 * all clocks, ours among them, agree with it within a minute. Auth servers are believed first: hosts count
 * only where the auth servers alone are too few, or differ too much, to decide. So machines that were taken
 * over cannot stop a cluster of three auth servers.
 */
export function judgeClock(heard: {
  readonly authServers: readonly ClockVote[];
  readonly hosts: readonly ClockVote[];
}): ClockVerdict {
  const { authServers, hosts } = heard;
  const all = [...authServers, ...hosts];
  if (!all.some(differs)) return { status: 'agreed' };
  const byAuthServers = authServers.length >= 2 ? judgeBy(authServers) : undefined;
  const voters = byAuthServers ? authServers : all;
  const verdict = byAuthServers ?? judgeBy(all);
  if (verdict === undefined) return { status: 'undecided', differing: all.filter(differs) };
  if (verdict.status === 'right') return { status: 'others_wrong', differing: all.filter(differs) };
  const { aheadMs, agreeing } = verdict;
  return { status: 'own_wrong', aheadMs, agreeing, heard: voters.length };
}

const differs = ({ aheadMs }: ClockVote): boolean => Math.abs(aheadMs) > clockToleranceMs;

type Judged =
  | { readonly status: 'right' }
  | { readonly status: 'wrong'; readonly aheadMs: number; readonly agreeing: number };

/** Undefined when no more than half of the clocks agree. */
function judgeBy(votes: readonly ClockVote[]): Judged | undefined {
  const clocks = [0, ...votes.map(({ aheadMs }) => aheadMs)].sort((a, b) => a - b);
  const group = largestGroup(clocks);
  if (group.length * 2 <= clocks.length) return undefined;
  const middle = group[group.length >> 1] ?? 0;
  return Math.abs(middle) <= clockToleranceMs || group.includes(0)
    ? { status: 'right' }
    : { status: 'wrong', aheadMs: -middle, agreeing: group.length };
}

/**
 * The largest group of clocks within a minute of one another, with ours among them where there is a choice.
 */
function largestGroup(sorted: readonly number[]): readonly number[] {
  let best: readonly number[] = [];
  for (const [i, first] of sorted.entries()) {
    const group = sorted.slice(i).filter((one) => one - first <= clockToleranceMs);
    if (group.length > best.length || (group.length === best.length && group.includes(0))) best = group;
  }
  return best;
}
