import { readFileSync } from 'node:fs';

/**
 * What a login program gives its sessions. Programs that use `select`, or that close every number up to the limit, do not
 * bear the daemon's. Whoever needs more may raise it up to the hard limit, which is left as it is. Source: getrlimit(2).
 */
const normal = 1024;

/**
 * The soft limit to start a person's program with; undefined where ours is no higher than a normal one, or cannot be
 * read. Node itself raises its soft limit to the hard one when it starts, and its children inherit that.
 * @param limits of this process, as in /proc/self/limits.
 */
export function lowerLimit(limits = ownLimits()): number | undefined {
  const [, soft] = /^Max open files +(\d+|unlimited) /m.exec(limits) ?? [];
  if (soft === undefined) return undefined;
  return soft === 'unlimited' || Number(soft) > normal ? normal : undefined;
}

/** argv that runs `line` with that soft limit on open descriptors. */
export const underLimit = (prlimit: string, soft: number, line: readonly string[]): readonly string[] => [
  prlimit,
  `--nofile=${soft}:`,
  '--',
  ...line,
];

function ownLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return '';
  }
}
