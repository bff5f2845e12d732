import type { Caller } from '../../api/operation.ts';
import { CodedError } from '../../base/errors.ts';
import { lockText, type LockSubject } from '../../domain/lock.ts';
import type { Grant } from '../../domain/user-fact.ts';
import { lockOn } from '../../views/locks.ts';
import type { AuthDeps } from '../deps.ts';

type Deps = Pick<AuthDeps, 'views' | 'world'>;

/** What whoever is locked is told; undefined when nobody of this is. */
export function lockedBy({ views, world }: Deps, subject: LockSubject): string | undefined {
  const lock = lockOn(views.locks.state(), subject, world.now());
  return lock && lockText(lock);
}

/**
 * Only for who has proved to be this: others would learn who is locked.
 * @throws CodedError `access_denied` with the text of the lock.
 */
export function requireUnlocked(deps: Deps, subject: LockSubject): void {
  const text = lockedBy(deps, subject);
  if (text !== undefined) throw new CodedError('access_denied', text);
}

/** Which logins a certificate goes without, now. */
export const lockedLogins =
  (deps: Deps): ((login: string) => boolean) =>
  (login) =>
    lockedBy(deps, { login }) !== undefined;

/**
 * What a certificate is about to be signed for. Asked once more behind the append that has it: by the order
 * of the log, a lock that came first counts.
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
 * A machine that speaks for itself. A lock of a node is about that role: a proxy of the same machine goes on.
 * @throws CodedError `access_denied` with the text of the lock.
 */
export function requireUnlockedHost(
  deps: Deps,
  { hostId, role, certifiedNames = [], serial = 0n }: Machine,
  nodename: string,
): void {
  requireUnlocked(deps, { serial, ...(role === 'Node' && { node: [hostId, nodename, ...certifiedNames] }) });
}
