import type { OsUser } from './passwd.ts';

/** What to run for a person. */
export type Program =
  | { readonly kind: 'login-shell' }
  /** A command line, read by the person's shell. */
  | { readonly kind: 'command'; readonly command: string }
  /** A program of the system, without a shell between. The first word is an absolute path. */
  | { readonly kind: 'plain'; readonly argv: readonly [string, ...string[]] };

/** Shells that know -l. Others (nologin, git-shell, tmux) are started without it. */
const loginShells = new Set([
  ...['sh', 'bash', 'rbash', 'dash', 'ash', 'zsh', 'ksh', 'ksh93', 'mksh', 'fish', 'csh', 'tcsh'],
]);

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/**
 * Bytes of one argument or variable, as Linux takes them: MAX_ARG_STRLEN without the NUL. Source: execve(2).
 */
export const maxArgumentBytes = 128 * 1024 - 1;

/** argv of the program itself. */
export function programLine(program: Program, { shell }: Pick<OsUser, 'shell'>): readonly string[] {
  switch (program.kind) {
    case 'login-shell':
      return loginShells.has(baseName(shell)) ? [shell, '-l'] : [shell];
    case 'command':
      return [shell, '-c', program.command];
    case 'plain':
      return program.argv;
  }
}

/**
 * Run by /bin/sh as the person, before the program. The variables come over descriptor 3 and not in the
 * environment of setpriv: that one is still root, and a client's values could make its dynamic linker load
 * anything. They are not in its arguments either, where every account of the machine could read them. Needs
 * no program but the shell.
 */
export const prelude = [
  'while IFS= read -r v <&3; do export "$v"; done',
  'exec 3<&-',
  'umask "$2"',
  'cd -- "$1" 2>/dev/null || { echo "Could not change to the home directory $1: starting in /" >&2; cd /; }',
  'shift 2',
  'exec "$@"',
].join('\n');

declare const checked: unique symbol;
/** Variables of which each is one line: `lineVariables` alone makes them. */
export type LineVariables = ReadonlyMap<string, string> & { readonly [checked]: true };

/**
 * The variables that the prelude can be given one to a line; the names of the others are in `leftOut`. It
 * reads a line break as the end of a variable, so that a value with one would set further variables,
 * `BASH_ENV` say; and at a name that it cannot export the shell ends.
 */
export function lineVariables(all: Iterable<readonly [name: string, value: string]>): {
  readonly variables: LineVariables;
  readonly leftOut: readonly string[];
} {
  const variables = new Map<string, string>();
  const leftOut: string[] = [];
  for (const [name, value] of all) {
    // If a name occurs twice the later one counts, even where it cannot be passed.
    variables.delete(name);
    if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !/[\0\n]/.test(value)) variables.set(name, value);
    else leftOut.push(name);
  }
  return { variables: variables as unknown as LineVariables, leftOut };
}

/** The variables as the prelude reads them. */
export const preludeInput = (variables: LineVariables): string =>
  [...variables].map(([name, value]) => `${name}=${value}\n`).join('');

/** argv that runs `line` with the ids and exactly the groups of `user`. Only root may start it. */
export const withIdsOf = (setpriv: string, user: OsUser, line: readonly string[]): readonly string[] => [
  setpriv,
  `--reuid=${user.uid}`,
  `--regid=${user.gid}`,
  user.groups.length === 0 ? '--clear-groups' : `--groups=${user.groups.join(',')}`,
  '--',
  ...line,
];

/** How a session's files are made, independent of our own umask. */
export interface SessionStart {
  readonly user: OsUser;
  /** Octal. */
  readonly umask: string;
}

/** The same in its home, with its umask, and the variables from descriptor 3. */
export const asUser = (
  setpriv: string,
  { user, umask }: SessionStart,
  line: readonly string[],
): readonly string[] => withIdsOf(setpriv, user, ['/bin/sh', '-c', prelude, 'sh', user.home, umask, ...line]);

/** argv that runs `line` with that umask, as whoever we are. */
export const withUmask = (umask: string, line: readonly string[]): readonly string[] => [
  ...['/bin/sh', '-c', 'umask "$1"; shift; exec "$@"', 'sh', umask],
  ...line,
];

/** argv that runs `line` with its standard input as controlling terminal, in a session of its own. */
export const onTerminal = (setsid: string, line: readonly string[]): readonly string[] => [
  setsid,
  '--ctty',
  '--',
  ...line,
];
