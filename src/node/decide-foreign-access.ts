import { checkJoinAccess, checkServerAccess } from '../domain/access.ts';
import { joinLogin } from '../domain/join-session.ts';
import { toAuthorizedKeyLine } from '../pki/ssh-key.ts';
import { foreignPerson, lockSubjectOf } from '../views/foreign-person.ts';
import { clusterOfKey, findTrusted, type NamedTrust } from '../views/trusted-clusters.ts';
import {
  type AccessRequest,
  type DecidingViews,
  type Grant,
  identityOf,
  lockTextFor,
  type Refuse,
  rolesOf,
} from './access-request.ts';

/** The trusted cluster whose user authority has signed the certificate; undefined: none that is enabled. */
export function signingCluster(
  { trustedClusters }: Pick<DecidingViews, 'trustedClusters'>,
  { certificate, asked }: Pick<AccessRequest, 'certificate' | 'asked'>,
): NamedTrust | undefined {
  const line = toAuthorizedKeyLine(certificate.ca.blob);
  return clusterOfKey(trustedClusters.state(), ({ sshPublicKey }) => sshPublicKey === line, asked);
}

/**
 * Decides about somebody of a trusted cluster: the role map gives roles here, which must allow the login; the
 * certificate must be for it, which the SSH server has checked. What users, lives and access requests there
 * are here is not asked. The other cluster's locks and deletions are not known here: its certificates end,
 * and the connection with them.
 * @throws what `refuse` makes, with the whole reason.
 */
export function decideForeignAccess(
  views: DecidingViews,
  request: AccessRequest,
  cluster: NamedTrust,
  refusing: (username: string) => Refuse,
): Grant {
  const { certificate, login, labels } = request;
  const { serial } = certificate;
  const person = foreignPerson(cluster, { ...identityOf(certificate), serial });
  const refuse = refusing(person.username);
  if (person.status === 'unmapped') throw refuse(person.why);
  const locked = lockOnForeigner(views, request, cluster);
  if (locked !== undefined) throw refuse(locked);
  const roles = rolesOf(views, person.roleNames, refuse);
  const { traits } = person;
  const check = login === joinLogin ? checkJoinAccess : checkServerAccess;
  const access = check({ roles, traits, login, labels });
  if (access.status === 'denied') throw refuse(access.reason);
  const options = { ...access.options, disconnectExpiredCert: true };
  return { username: person.username, cluster: person.clusterName, login, options, roles, traits };
}

/** By which lock of this cluster somebody of another one is kept out now. */
function lockOnForeigner(
  views: Pick<DecidingViews, 'locks'>,
  { certificate, login, node, now }: Omit<AccessRequest, 'labels' | 'asked'>,
  cluster: NamedTrust,
): string | undefined {
  const { serial } = certificate;
  const person = foreignPerson(cluster, { ...identityOf(certificate), serial });
  return lockTextFor(views, { ...lockSubjectOf(person, { serial }), login, node }, now);
}

/**
 * What a connected person of another cluster is told whose connection ends by something that was done here.
 */
export function lastWordsForForeigner(
  views: Pick<DecidingViews, 'locks' | 'trustedClusters'>,
  request: Omit<AccessRequest, 'labels' | 'asked'>,
  clusterName: string,
): string | undefined {
  const trust = findTrusted(views.trustedClusters.state(), clusterName);
  const quoted = JSON.stringify(clusterName);
  if (trust === undefined) return `trusted cluster ${quoted} has been removed`;
  if (!trust.enabled) return `trusted cluster ${quoted} is disabled`;
  return lockOnForeigner(views, request, { clusterName, trust });
}
