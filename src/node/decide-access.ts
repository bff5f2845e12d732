import { second } from '../base/duration.ts';
import { CodedError } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import { checkJoinAccess, checkServerAccess, type Subject } from '../domain/access.ts';
import { joinLogin } from '../domain/join-session.ts';
import { limitedBy, sessionLimitsOf } from '../domain/session-limits.ts';
import type { RoleSpec } from '../domain/role-spec.ts';
import { authorityBlobs } from '../pki/ssh-key.ts';
import type { UserIdentity } from '../pki/user-certificate.ts';
import { keysOfSessionsIn, trustedOf } from '../views/authorities.ts';
import { addedRoles, heldRequests, holdingStatesOf, lockableRoles } from '../views/held-requests.ts';
import { keysOfTrusted } from '../views/trusted-clusters.ts';
import { deletionText, userStandingOf } from '../views/user-life.ts';
import { findUser, type UsersState } from '../views/users.ts';
import {
  type AccessRequest,
  type DecidingViews,
  type Grant,
  identityOf,
  lockTextFor,
  type Refuse,
  rolesOf,
} from './access-request.ts';
import { decideForeignAccess, lastWordsForForeigner, signingCluster } from './decide-foreign-access.ts';

/** Keys of the authorities whose certificates people may show here. */
export const userAuthoritiesOf = (
  views: Pick<DecidingViews, 'authorities' | 'trustedClusters'>,
): readonly Buffer[] => [
  ...authorityBlobs(trustedOf(views.authorities.state(), 'user')),
  ...authorityBlobs(keysOfTrusted(views.trustedClusters.state(), 'user')),
];

/**
 * Decides who may log in, from the node's last folded state: an authority that is trusted, a user that
 * exists, roles that allow the login on a server with these labels, and no lock. The roles and traits are
 * those of the certificate; a certificate without any (`oldssh`) gets those of the user. Access requests that
 * it names add theirs, as long as they count. Whose authority has signed decides which cluster it is of:
 * of somebody of another cluster, `decideForeignAccess` decides.
 * @throws CodedError `access_denied` with the whole reason: for the audit, never for the client.
 */
export function decideAccess(views: DecidingViews, request: AccessRequest): Grant {
  const grant = grantOf(views, request);
  const limits = sessionLimitsOf(views.configuration.state().standing);
  return { ...grant, options: limitedBy(grant.options, limits) };
}

function grantOf(views: DecidingViews, request: AccessRequest): Grant {
  const { certificate, login } = request;
  const clusterName = clusterNameOf(views);
  const identity = identityOf(certificate);
  const refusing =
    (who: string): Refuse =>
    (why) =>
      new CodedError(
        'access_denied',
        `user ${who} is not authorized to login as ${login}@${clusterName}: ${why}`,
      );
  const refuse = refusing(`${identity.username}@${clusterName}`);
  const authorities = views.authorities.state();
  const keys = request.asked === 'at_login' ? trustedOf(authorities, 'user') : keysOfSessionsIn(authorities);
  if (authorityBlobs(keys).some((blob) => blob.equals(certificate.ca.blob)))
    return decideOwnAccess(views, request, identity, refuse);
  const cluster = signingCluster(views, request);
  if (cluster === undefined) throw refuse('its certificate is of an authority that is not trusted');
  return decideForeignAccess(views, request, cluster, refusing);
}

function decideOwnAccess(
  views: DecidingViews,
  request: AccessRequest,
  identity: UserIdentity,
  refuse: Refuse,
): Grant {
  const { certificate, login, labels } = request;
  const { username } = identity;
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
  const roles = [...own, ...held];
  const check = login === joinLogin ? checkJoinAccess : checkServerAccess;
  const access = check({ ...asked, roles });
  if (access.status === 'denied') throw refuse(access.reason);
  const isByRequest = held.length > 0 && check({ ...asked, roles: own }).status === 'denied';
  // The certificate ends no later than the request, and with it what the request alone allows.
  const options = isByRequest ? { ...access.options, disconnectExpiredCert: true } : access.options;
  return { username, login, options, roles, traits: subject.traits };
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
  views: Pick<DecidingViews, 'locks' | 'users' | 'requests'>,
  { certificate, login, node, now }: Omit<AccessRequest, 'labels' | 'asked'>,
): string | undefined {
  const identity = identityOf(certificate);
  const roles = lockableRoles({ requests: views.requests.state(), users: views.users.state() }, identity);
  return lockTextFor(views, { user: identity.username, roles, login, node, serial: certificate.serial }, now);
}

/**
 * Why the connection of somebody is ended, where that person is to know: a lock, a deletion.
 * @param cluster of somebody of another cluster, as granted.
 */
export function lastWordsFor(
  views: Pick<DecidingViews, 'locks' | 'users' | 'requests' | 'trustedClusters'>,
  request: Omit<AccessRequest, 'labels' | 'asked'>,
  cluster: string | undefined,
): string | undefined {
  if (cluster !== undefined) return lastWordsForForeigner(views, request, cluster);
  const { certificate } = request;
  const { username, lifeId } = identityOf(certificate);
  const validFromMs = Number(certificate.validAfter) * second;
  return lockFor(views, request) ?? deletionText(views.users.state(), { username, lifeId, validFromMs });
}

/** By which lock this session is ended; of its connection `lastWordsFor` reports. */
export const lockForSession = (
  views: Pick<DecidingViews, 'locks'>,
  session: string,
  now: Instant,
): string | undefined => lockTextFor(views, { session }, now);

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
