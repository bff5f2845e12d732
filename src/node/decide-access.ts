import { second } from '../base/duration.ts';
import { CodedError } from '../base/errors.ts';
import { checkServerAccess, type Subject } from '../domain/access.ts';
import type { AccessOptions } from '../domain/role-options.ts';
import type { RoleSpec } from '../domain/role-spec.ts';
import type { Certificate } from '../pki/ssh-certificate.ts';
import { userIdentityOf, type UserIdentity } from '../pki/user-certificate.ts';
import { WireError } from '../pki/wire.ts';
import { lookUpRoles } from '../views/roles.ts';
import { userStandingOf } from '../views/user-life.ts';
import { findUser, type UsersState } from '../views/users.ts';
import { type NodeViews, userAuthorityBlobs } from './node-views.ts';

/** What one person may do here under one login. */
export interface Grant {
  readonly username: string;
  readonly login: string;
  readonly options: AccessOptions;
}

export interface AccessRequest {
  /** Its signature and validity have been checked. */
  readonly certificate: Certificate;
  readonly login: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Decides who may come in, by what was last known of the cluster: an authority that is trusted, a user that
 * exists, and roles that allow the login on a server with these labels. The roles and traits are those of the
 * certificate; one that carries none (`oldssh`) has those of the user.
 * @throws CodedError `access_denied` with the whole reason: for the audit, never for the client.
 */
export function decideAccess(views: NodeViews, request: AccessRequest): Grant {
  const { certificate, login, labels } = request;
  const clusterName = clusterNameOf(views);
  const identity = identityOf(certificate);
  const { username } = identity;
  const refuse = (why: string): CodedError =>
    new CodedError(
      'access_denied',
      `user ${username}@${clusterName} is not authorized to login as ${login}@${clusterName}: ${why}`,
    );
  // Checked at login too; asked again of live connections when authorities change.
  if (!userAuthorityBlobs(views.authorities.state()).some((blob) => blob.equals(certificate.ca.blob)))
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
  const subject = subjectOf(identity, users);
  const roles = rolesOf(views, subject.roleNames, refuse);
  const access = checkServerAccess({ roles, traits: subject.traits, login, labels });
  if (access.status === 'denied') throw refuse(access.reason);
  return { username, login, options: access.options };
}

function clusterNameOf(views: NodeViews): string {
  // A view that stands still for good would not see a lock any more. (Auth being away is another matter.)
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
  views: NodeViews,
  names: readonly string[],
  refuse: (why: string) => CodedError,
): readonly RoleSpec[] {
  if (names.length === 0) throw refuse('it has no role');
  const found = lookUpRoles(views.roles.state(), names);
  if (found.status === 'missing') throw refuse(`there is no role ${found.names.join(', ')}`);
  return found.roles;
}
