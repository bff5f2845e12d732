import { second } from '../base/duration.ts';
import { CodedError } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import { checkServerAccess, type Subject } from '../domain/access.ts';
import { lockText, type LockSubject } from '../domain/lock.ts';
import type { AccessOptions } from '../domain/role-options.ts';
import type { RoleSpec } from '../domain/role-spec.ts';
import type { Certificate } from '../pki/ssh-certificate.ts';
import { authorityBlobs } from '../pki/ssh-key.ts';
import { userIdentityOf, type UserIdentity } from '../pki/user-certificate.ts';
import { WireError } from '../pki/wire.ts';
import { keysOfSessionsIn, trustedOf } from '../views/authorities.ts';
import { lockOn } from '../views/locks.ts';
import { addedRoles, heldRequests, holdingStatesOf, lockableRoles } from '../views/held-requests.ts';
import { lookUpRoles, unreadableRoles } from '../views/roles.ts';
import { deletionText, userStandingOf } from '../views/user-life.ts';
import { findUser, type UsersState } from '../views/users.ts';
import type { NodeViews } from './node-views.ts';

/** The views on which the decision depends. */
export type DecidingViews = Pick<
  NodeViews,
  'authorities' | 'cluster' | 'locks' | 'requests' | 'roles' | 'users' | 'failure'
>;

/** What one person may do here under one login. */
export interface Grant {
  readonly username: string;
  readonly login: string;
  readonly options: AccessOptions;
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

/**
 * Decides who may log in, from the node's last folded state: an authority that is trusted, a user that
 * exists, roles that allow the login on a server with these labels, and no lock. The roles and traits are
 * those of the certificate; a certificate without any (`oldssh`) gets those of the user. Access requests that
 * it names add theirs, as long as they count.
 * @throws CodedError `access_denied` with the whole reason: for the audit, never for the client.
 */
export function decideAccess(views: DecidingViews, request: AccessRequest): Grant {
  const { certificate, login, labels } = request;
  const clusterName = clusterNameOf(views);
  const identity = identityOf(certificate);
  const { username } = identity;
  const refuse = (why: string): CodedError =>
    new CodedError(
      'access_denied',
      `user ${username}@${clusterName} is not authorized to login as ${login}@${clusterName}: ${why}`,
    );
  const authorities = views.authorities.state();
  const keys = request.asked === 'at_login' ? trustedOf(authorities, 'user') : keysOfSessionsIn(authorities);
  if (!authorityBlobs(keys).some((blob) => blob.equals(certificate.ca.blob)))
    throw refuse('its certificate is of an authority that is not trusted');
  const users = views.users.state();
  const { status } = userStandingOf(users, {
    username,
    lifeId: identity.lifeId,
    validFromMs: Number(certificate.validAfter) * second,
  });
  if (status === 'absent') throw refuse('the user does not exist');
  if (status === 'of_earlier')
    throw refuse('its certificate is of an earlier user of that name, who was deleted');
  if (status !== 'present') throw refuse('this release cannot read the user, of whom a newer one wrote');
  const subject = subjectOf(identity, users);
  const own = rolesOf(views, subject.roleNames, refuse);
  const held = requestedRoles(views, identity, own, request);
  const locked = lockFor(views, request);
  if (locked !== undefined) throw refuse(locked);
  const asked = { traits: subject.traits, login, labels };
  const access = checkServerAccess({ ...asked, roles: [...own, ...held] });
  if (access.status === 'denied') throw refuse(access.reason);
  const isByRequest = held.length > 0 && checkServerAccess({ ...asked, roles: own }).status === 'denied';
  // The certificate ends no later than the request, and with it what the request alone allows.
  const options = isByRequest ? { ...access.options, disconnectExpiredCert: true } : access.options;
  return { username, login, options };
}

/**
 * What approved access requests add. One that has run out does not cut off who is here: the certificate does.
 */
const requestedRoles = (
  views: DecidingViews,
  identity: UserIdentity,
  own: readonly RoleSpec[],
  { asked, now }: Pick<AccessRequest, 'asked' | 'now'>,
): readonly RoleSpec[] =>
  addedRoles(heldRequests(holdingStatesOf(views), identity, asked === 'at_login' ? now : undefined), own);

/** By which lock a person is kept out now, who has shown this certificate. */
function lockFor(
  { locks, users, requests }: Pick<DecidingViews, 'locks' | 'users' | 'requests'>,
  { certificate, login, node, now }: Omit<AccessRequest, 'labels' | 'asked'>,
): string | undefined {
  const identity = identityOf(certificate);
  const roles = lockableRoles({ requests: requests.state(), users: users.state() }, identity);
  return textOf(locks, { user: identity.username, roles, login, node, serial: certificate.serial }, now);
}

/** Why the connection of somebody is ended, where that person is to know: a lock, a deletion. */
export function lastWordsFor(
  views: Pick<DecidingViews, 'locks' | 'users' | 'requests'>,
  request: Omit<AccessRequest, 'labels' | 'asked'>,
): string | undefined {
  const { certificate } = request;
  const { username, lifeId } = identityOf(certificate);
  const validFromMs = Number(certificate.validAfter) * second;
  return lockFor(views, request) ?? deletionText(views.users.state(), { username, lifeId, validFromMs });
}

/** By which lock this session is ended; of its connection `lastWordsFor` reports. */
export const lockForSession = (
  { locks }: Pick<DecidingViews, 'locks'>,
  session: string,
  now: Instant,
): string | undefined => textOf(locks, { session }, now);

function textOf(locks: DecidingViews['locks'], subject: LockSubject, now: Instant): string | undefined {
  const lock = lockOn(locks.state(), subject, now);
  return lock && lockText(lock);
}

function clusterNameOf(views: DecidingViews): string {
  // A view that has failed for good would not see a new lock. (Auth being away is another matter.)
  const failure = views.failure();
  if (failure !== undefined)
    throw new CodedError(
      'access_denied',
      `what this node knows of the cluster stands still: ${failure.message}`,
    );
  const cluster = views.cluster.state();
  if (cluster.status === 'absent')
    throw new CodedError('access_denied', 'this node does not know its cluster yet: auth has not answered');
  return cluster.clusterName;
}

function identityOf(certificate: Certificate): UserIdentity {
  try {
    return userIdentityOf(certificate);
  } catch (e) {
    if (!(e instanceof WireError)) throw e;
    throw new CodedError('access_denied', `the certificate of ${certificate.keyId}: ${e.message}`);
  }
}

function subjectOf(
  identity: UserIdentity,
  users: UsersState,
): { roleNames: readonly string[]; traits: Subject['traits'] } {
  const { roles, traits, username } = identity;
  const user = roles.length === 0 ? findUser(users, username)?.state : undefined;
  if (user !== undefined) return { roleNames: user.roles, traits: user.traits };
  return {
    roleNames: roles,
    traits: Object.fromEntries(Object.entries(traits).map(([name, values]) => [name, [...values]])),
  };
}

function rolesOf(
  views: DecidingViews,
  names: readonly string[],
  refuse: (why: string) => CodedError,
): readonly RoleSpec[] {
  if (names.length === 0) throw refuse('it has no role');
  const found = lookUpRoles(views.roles.state(), names);
  if (found.status === 'missing')
    throw refuse(unreadableRoles(found) ?? `there is no role ${found.names.join(', ')}`);
  return found.roles;
}
