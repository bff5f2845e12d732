import type { listLocks } from '../../api/operations/lock.ts';
import type { listUsers } from '../../api/operations/user.ts';
import type { OutputOf } from '../../api/operation.ts';
import { printable } from '../../base/printable.ts';
import { shellQuote } from '../../base/shell-quote.ts';
import { type Instant, msBetween } from '../../base/time.ts';
import { targetText } from '../../domain/lock.ts';
import { formatGoDuration } from '../duration.ts';
import { formatTable } from '../table.ts';

type Lock = OutputOf<typeof listLocks>['locks'][number];
type User = OutputOf<typeof listUsers>['users'][number];

/** A password that failed logins have locked. */
export interface LockedPassword {
  readonly username: string;
  readonly until: Instant;
  readonly reason: string;
  /** Undefined: from everywhere but where the user logged in before. */
  readonly from: readonly string[] | undefined;
}

/** Those that are locked at this moment. */
export const lockedPasswords = (users: readonly User[], now: Instant): readonly LockedPassword[] =>
  users.flatMap(({ username, lock }) =>
    lock.status === 'locked' && lock.until > now
      ? [{ username, until: lock.until, reason: lock.reason, from: lock.from }]
      : [],
  );

/** What `tctl locks ls` prints. */
export function locksText(
  locks: readonly Lock[],
  passwords: readonly LockedPassword[],
  now: Instant,
): string {
  const tables = [
    ...(locks.length === 0 ? [] : [lockTable(locks, now)]),
    ...(passwords.length === 0 ? [] : [passwordTable(passwords, now)]),
  ];
  return tables.length === 0 ? 'No locks found.\n' : tables.join('\n');
}

const lockTable = (locks: readonly Lock[], now: Instant): string =>
  formatTable(
    ['ID', 'Target', 'Message', 'Expires', 'By'],
    locks.map(({ lockId, target, message, expiresAt, by }) => [
      lockId,
      targetText(target),
      message,
      expiresAt === undefined ? 'never' : endText(now, expiresAt),
      by,
    ]),
  );

const passwordTable = (passwords: readonly LockedPassword[], now: Instant): string =>
  formatTable(
    ['Password of', 'Locked from', 'Reason', 'Expires', 'Ends with'],
    passwords.map(({ username, until, reason, from }) => [
      username,
      sourcesText(from),
      reason,
      endText(now, until),
      `tctl users unlock ${shellQuote(username)}`,
    ]),
  );

const endText = (now: Instant, at: Instant): string => `${at} (${formatGoDuration(msBetween(now, at))})`;

/** At most so many addresses are named. */
const namedSources = 3;

/** Where logins are refused from. */
function sourcesText(sources: readonly string[] | undefined): string {
  if (sources === undefined) return 'everywhere new';
  const more = sources.length - namedSources;
  const named = sources.slice(0, namedSources).map(printable).join(', ');
  return more > 0 ? `${named} and ${more} more` : named;
}

/** The form of the releases after 4.4. */
export const lockResource = ({ lockId, target, message, createdAt, expiresAt, by }: Lock): object => ({
  kind: 'lock',
  version: 'v2',
  metadata: { name: lockId, ...(expiresAt === undefined ? {} : { expires: expiresAt }) },
  spec: { target: { [target.kind]: target.name }, message, created_at: createdAt, created_by: by },
});

/** A kind of its own: no lock of that name is there to be unlocked. */
export const passwordResource = ({ username, until, reason, from }: LockedPassword): object => ({
  kind: 'password_lock',
  version: 'v2',
  metadata: { name: username, expires: until },
  spec: { target: { user: username }, message: reason, ...(from === undefined ? {} : { from }) },
});
