import { CodedError } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import { lockText, type LockSubject } from '../domain/lock.ts';
import type { AccessOptions } from '../domain/role-options.ts';
import type { RoleSpec, Traits } from '../domain/role-spec.ts';
import type { Certificate } from '../pki/ssh-certificate.ts';
import { userIdentityOf, type UserIdentity } from '../pki/user-certificate.ts';
import { WireError } from '../pki/wire.ts';
import { lockOn } from '../views/locks.ts';
import { lookUpRoles, unreadableRoles } from '../views/roles.ts';
import type { NodeViews } from './node-views.ts';

/** The views on which the decision depends. */
export type DecidingViews = Pick<
  NodeViews,
  | 'authorities'
  | 'cluster'
  | 'configuration'
  | 'locks'
  | 'requests'
  | 'roles'
  | 'trustedClusters'
  | 'users'
  | 'failure'
>;

/** What one person may do here under one login. */
export interface Grant {
  /** Of somebody of another cluster as `foreignUsername` has it. */
  readonly username: string;
  /** The other cluster, for somebody who is of one. */
  readonly cluster?: string;
  readonly login: string;
  readonly options: AccessOptions;
  /** By which it was decided: those of the person, and those of approved requests. */
  readonly roles: readonly RoleSpec[];
  readonly traits: Traits;
}

export interface AccessRequest {
  /**
   * `while_connected`: a connected person stays under a key that was withdrawn since, unless its withdrawal
   * ends sessions.
   */
  readonly asked: 'at_login' | 'while_connected';
  /** Its signature and validity have been checked. */
  readonly certificate: Certificate;
  readonly login: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Id and names of this node. */
  readonly node: readonly string[];
  readonly now: Instant;
}

export type Refuse = (why: string) => CodedError;

/** @throws CodedError `access_denied` for a certificate that names nobody. */
export function identityOf(certificate: Certificate): UserIdentity {
  try {
    return userIdentityOf(certificate);
  } catch (e) {
    if (!(e instanceof WireError)) throw e;
    throw new CodedError('access_denied', `the certificate of ${certificate.keyId}: ${e.message}`);
  }
}

/** @throws what `refuse` makes where there is none, or one is missing. */
export function rolesOf(
  views: Pick<DecidingViews, 'roles'>,
  names: readonly string[],
  refuse: Refuse,
): readonly RoleSpec[] {
  if (names.length === 0) throw refuse('it has no role');
  const found = lookUpRoles(views.roles.state(), names);
  if (found.status === 'missing')
    throw refuse(unreadableRoles(found) ?? `there is no role ${found.names.join(', ')}`);
  return found.roles;
}

/** By which lock this subject is kept out now. */
export function lockTextFor(
  { locks }: Pick<DecidingViews, 'locks'>,
  subject: LockSubject,
  now: Instant,
): string | undefined {
  const lock = lockOn(locks.state(), subject, now);
  return lock && lockText(lock);
}
