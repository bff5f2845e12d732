import { mayBeSet } from './environment-file.ts';

/**
 * Variables that anyone may set for a program: language, git's protocol version, and our own, which change
 * the behaviour of no program. Everything else could help a person to escape from a restricted shell: rbash
 * by its PATH, git-shell by GIT_CONFIG_*.
 */
export const acceptedByDefault: readonly string[] = ['LANG', 'LC_*', 'GIT_PROTOCOL', 'TELEPORT_*'];

/** Whether a variable may be set from outside: by a client, or by a file in a person's home. */
export type AcceptsVariable = (name: string, value: string) => boolean;

const longestName = 256;

/**
 * Variables that `patterns` admit besides those of `acceptedByDefault`. `*` and `?` as in AcceptEnv of
 * sshd_config(5).
 */
export function acceptedVariables(patterns: readonly string[]): AcceptsVariable {
  const all = [...acceptedByDefault, ...patterns];
  return (name, value) =>
    name.length <= longestName && mayBeSet(name, value) && all.some((pattern) => fits(pattern, name));
}

/** What is wrong with a pattern of the configuration, or undefined. */
export function patternFault(pattern: string): string | undefined {
  if (!/^[A-Za-z_*?][A-Za-z0-9_*?]{0,255}$/.test(pattern))
    return `'${pattern}' is not the name of a variable: letters, digits and _, and * or ? as patterns`;
  if (!/[*?]/.test(pattern) && !mayBeSet(pattern, ''))
    return `${pattern} may never be set by a client: it is the session's own, or changes what programs load`;
  return undefined;
}

/** Time is at most the product of both lengths, whatever the pattern. */
function fits(pattern: string, name: string): boolean {
  let p = 0;
  let star = -1;
  let resumeAt = 0;
  for (let n = 0; n < name.length;) {
    if (pattern[p] === '*') {
      star = p++;
      resumeAt = n;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === name[n])) {
      p++;
      n++;
    } else if (star >= 0) {
      p = star + 1;
      n = ++resumeAt;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(p));
}
