import { userInfo } from 'node:os';
import { CodedError } from '../../../base/errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The passwd record of the account that runs this program. */
export interface PasswdRecord {
  readonly username: string;
  readonly homedir: string;
}

/**
 * The home folder of the account that runs this program: that of the passwd record of our uid. Without one,
 * as in a container that runs under a uid of its own, `HOME`. @throws CodedError `misconfigured` when neither
 * has it.
 */
export function localHome(env: Environment, lookUp: () => PasswdRecord = userInfo): string {
  const home = recordOf(lookUp)?.homedir ?? env['HOME'] ?? '';
  if (home.startsWith('/')) return home;
  throw nobody('has no home folder', 'HOME (or TSH_HOME) to a folder');
}

/**
 * The same for the name, from `LOGNAME` or `USER`. @throws CodedError `misconfigured` when neither has it.
 */
export function localUsername(env: Environment, lookUp: () => PasswdRecord = userInfo): string {
  const names = [recordOf(lookUp)?.username, env['LOGNAME'], env['USER']];
  const name = names.find((one) => one !== undefined && one !== '');
  if (name !== undefined) return name;
  throw nobody('has no name', 'USER, or give --user and a login (login@host, --login)');
}

const nobody = (lacks: string, remedy: string): CodedError =>
  new CodedError(
    'misconfigured',
    `uid ${process.getuid?.() ?? '?'} ${lacks}: it has no record in passwd, and the environment names none. Set ${remedy}`,
  );

/** @throws the system's error, unless it means that there is no record. */
function recordOf(lookUp: () => PasswdRecord): PasswdRecord | undefined {
  try {
    return lookUp();
  } catch (e) {
    if (isNoRecord(e)) return undefined;
    throw e;
  }
}

/** The runtime has no error of its own for it: `ENOENT` is within. */
const isNoRecord = (e: unknown): boolean => e instanceof Error && /\bENOENT\b/.test(e.message);
