import { constants } from 'node:fs';
import { access, readFile, stat } from 'node:fs/promises';
import type { Accounts, OsUser } from './passwd.ts';
import { isLocked, parseShadowLine, shadowFault } from './shadow.ts';

export interface AccountPolicy {
  readonly accounts: Accounts;
  /** Days since 1970. */
  readonly today: number;
  /** An account whose password is locked (`!`) counts as open: many system images lock every password. */
  readonly admitsLocked: boolean;
}

/** While one of them exists, only root gets in. Sources: nologin(5), pam_nologin(8). */
const nologinFiles = ['/run/nologin', '/etc/nologin'];
const longestNotice = 4096;

/**
 * Why this account is closed now, for the person and the audit; undefined when it is open. These are the
 * checks of sshd before it serves anything, a forward too; PAM itself is not asked.
 * @throws CodedError `unavailable` when the system does not answer.
 */
export async function accountRefusal(user: OsUser, policy: AccountPolicy): Promise<string | undefined> {
  const fault = (await databaseFault(user.name, policy)) ?? (await shellFault(user.shell));
  if (fault !== undefined) return `the account ${user.name} cannot be used: ${fault}`;
  return user.uid === 0 ? undefined : closedNotice(nologinFiles);
}

async function databaseFault(
  name: string,
  { accounts, today, admitsLocked }: AccountPolicy,
): Promise<string | undefined> {
  // When not root, we serve our own account only, and its data are made up.
  if (process.getuid?.() !== 0) return undefined;
  const line = await accounts.passwordLine(name);
  // A directory service may keep no line in the shadow database.
  if (line?.database !== 'shadow')
    return isLocked(line?.text.split(':')[1] ?? '') && !admitsLocked ? 'it is locked' : undefined;
  const entry = parseShadowLine(line.text);
  return entry === undefined
    ? 'its line in the shadow file is malformed'
    : shadowFault(entry, today, admitsLocked);
}

/**
 * A shell that refuses by itself (nologin) is valid.
 * Source: allowed_user() of OpenSSH.
 */
async function shellFault(shell: string): Promise<string | undefined> {
  try {
    await access(shell, constants.X_OK);
    if ((await stat(shell)).isFile()) return undefined;
  } catch {
    // Reported below: which error it was helps nobody.
  }
  return `its shell ${shell} is not a program`;
}

/** The text of the first of these files that exists, for people who are refused. */
export async function closedNotice(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    try {
      const text = await readFile(path, 'utf8');
      return `logins are closed on this machine (${path}): ${text.slice(0, longestNotice).trim()}`.trimEnd();
    } catch (e) {
      const { code } = e as NodeJS.ErrnoException;
      // One that cannot be read exists nevertheless.
      if (code !== 'ENOENT' && code !== 'ENOTDIR') return `logins are closed on this machine (${path})`;
    }
  }
  return undefined;
}
