import { descriptorLimit } from '../base/descriptor-limit.ts';

/**
 * What a login program gives its sessions. Programs that use `select`, or that close every number up to the
 * limit, cannot cope with the daemon's. A program that needs more may raise it up to the hard limit, which
 * stays as it is. Source: getrlimit(2).
 */
const normal = 1024;

/**
 * The soft limit to start a person's program with; undefined where ours is no higher than a normal one, or
 * cannot be read. Node itself raises its soft limit to the hard one when it starts, and its children inherit
 * that.
 * @param limits of this process, as in /proc/self/limits.
 */
export function lowerLimit(limits?: string): number | undefined {
  const ours = descriptorLimit(limits);
  return ours !== undefined && ours > normal ? normal : undefined;
}

/** argv that runs `line` with that soft limit on open descriptors. */
export const underLimit = (prlimit: string, soft: number, line: readonly string[]): readonly string[] => [
  prlimit,
  `--nofile=${soft}:`,
  '--',
  ...line,
];
