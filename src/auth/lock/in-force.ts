import type { Caller } from '../../api/operation.ts';
import { CodedError } from '../../base/errors.ts';
import { lockText, type LockSubject } from '../../domain/lock.ts';
import type { Grant } from '../../domain/user-fact.ts';
import { lockOn } from '../../views/locks.ts';
import type { AuthDeps } from '../deps.ts';

type Deps = Pick<AuthDeps, 'views' | 'world'>;

/** The text of the lock that applies to this subject; undefined when it is not locked. */
export function lockedBy({ views, world }: Deps, subject: LockSubject): string | undefined {
  const lock = lockOn(views.locks.state(), subject, world.now());
  return lock && lockText(lock);
}

/**
 * Only for a caller that has proved to be this subject: others would learn who is locked.
 * @throws CodedError `access_denied` with the text of the lock.
 */
export function requireUnlocked(deps: Deps, subject: LockSubject): void {
  const text = lockedBy(deps, subject);
  if (text !== undefined) throw new CodedError('access_denied', text);
}

/** Which logins are locked now, and so are left out of a certificate. */
export const lockedLogins =
  (deps: Deps): ((login: string) => boolean) =>
  (login) =>
    lockedBy(deps, { login }) !== undefined;

/**
 * Whether a certificate may be signed for this. Asked once more behind the append that records it: by the
 * order of the log, a lock that came first counts.
 * @throws CodedError `access_denied` with the text of the lock.
 */
export function requireGrantUnlocked(
  deps: Deps,
  username: string,
  { roles, logins }: Pick<Grant, 'roles' | 'logins'>,
): void {
  requireUnlocked(deps, { user: username, roles });
  for (const login of logins) requireUnlocked(deps, { login });
}

type Machine = Pick<Extract<Caller, { kind: 'host' }>, 'hostId' | 'role' | 'certifiedNames'> & {
  readonly serial?: bigint | undefined;
};

/**
 * A machine that calls for itself. A lock of a node is about that role: a proxy on the same machine
 * continues.
 * @throws CodedError `access_denied` with the text of the lock.
 */
export function requireUnlockedHost(
  deps: Deps,
  { hostId, role, certifiedNames = [], serial = 0n }: Machine,
  nodename: string,
): void {
  requireUnlocked(deps, { serial, ...(role === 'Node' && { node: [hostId, nodename, ...certifiedNames] }) });
}
