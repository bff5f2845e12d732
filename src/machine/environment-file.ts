/** A name any shell can export. */
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Variables that nobody may set from outside, even where the configuration admits every name: they change how
 * programs are loaded or what a restricted shell runs, so they would help a person to escape from a
 * restricted login shell; or a shell refuses them and could not start; or they are the session's own.
 */
const barredNames = new Set([
  ...['HOME', 'LOGNAME', 'MAIL', 'PATH', 'SHELL', 'TERM', 'USER'],
  'BASHOPTS',
  'BASH_ENV',
  'BASH_VERSINFO',
  'ENV',
  'EUID',
  'GCONV_PATH',
  'GLIBC_TUNABLES',
  'IFS',
  'LINENO',
  'LOCPATH',
  'NLSPATH',
  'OPTIND',
  'PPID',
  'PS4',
  'SHELLOPTS',
  'UID',
]);
const barredPrefixes = ['LD_', 'BASH_FUNC_', 'MALLOC_', 'DYLD_', 'SSH_'];

/**
 * Whether a variable may come from outside at all. A value is one line of text. Which do:
 * `accepted-variables.ts`.
 */
export const mayBeSet = (name: string, value: string): boolean =>
  variableName.test(name) &&
  !/[\0\n]/.test(value) &&
  !barredNames.has(name) &&
  !barredPrefixes.some((prefix) => name.startsWith(prefix));

const MAX_LINES = 1000;

export interface EnvironmentFile {
  readonly variables: readonly (readonly [name: string, value: string])[];
  /** One line for each line that was left out, for the person. */
  readonly complaints: readonly string[];
}

/**
 * Reads `KEY=VALUE` lines; empty lines and `#` comments are skipped; nothing after line 1000 counts. Quotes
 * have no meaning. Source: environment file of sshd(8).
 */
export function parseEnvironmentFile(
  text: string,
  accepts: (name: string, value: string) => boolean,
): EnvironmentFile {
  const lines = text.split('\n');
  const variables: (readonly [string, string])[] = [];
  const complaints: string[] = [];
  for (const [i, raw] of lines.slice(0, MAX_LINES).entries()) {
    const line = raw.replace(/\r$/, '').trimStart();
    if (line === '' || line.startsWith('#')) continue;
    const at = line.indexOf('=');
    const name = line.slice(0, Math.max(at, 0)).trim();
    const value = line.slice(at + 1);
    if (at > 0 && accepts(name, value)) variables.push([name, value]);
    else
      complaints.push(
        `line ${i + 1} is not KEY=VALUE, or ssh_service.accept_env does not admit the variable`,
      );
  }
  const rest = lines.slice(MAX_LINES).filter((line) => line.trim() !== '').length;
  if (rest > 0) complaints.push(`too many lines: only the first ${MAX_LINES} count`);
  return { variables, complaints };
}
