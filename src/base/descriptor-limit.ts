import { readFileSync } from 'node:fs';

/**
 * How many descriptors this process may have open: the soft limit, which Node raises to the hard one when it
 * starts. Infinity without a limit; undefined where it cannot be read. Source: getrlimit(2), proc(5).
 * @param limits of this process, as in /proc/self/limits.
 */
export function descriptorLimit(limits = ownLimits()): number | undefined {
  const [, soft] = /^Max open files +(\d+|unlimited) /m.exec(limits) ?? [];
  if (soft === undefined) return undefined;
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

function ownLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return '';
  }
}
