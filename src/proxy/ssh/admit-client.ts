import { CodedError } from '../../base/errors.ts';
import type { Instant } from '../../base/time.ts';
import { lockText } from '../../domain/lock.ts';
import { second } from '../../base/duration.ts';
import type { Certificate } from '../../pki/ssh-certificate.ts';
import { authorityBlobs } from '../../pki/ssh-key.ts';
import { userIdentityOf, type UserIdentity } from '../../pki/user-certificate.ts';
import { WireError } from '../../pki/wire.ts';
import { type AuthoritiesState, keysOfSessionsIn, trustedOf } from '../../views/authorities.ts';
import { lockOn, type LocksState } from '../../views/locks.ts';
import { lockableRoles } from '../../views/held-requests.ts';
import type { RequestsState } from '../../views/requests.ts';
import { deletionText, userStandingOf } from '../../views/user-life.ts';
import type { UsersState } from '../../views/users.ts';

/** The views that decide who may use the proxy. */
export interface Admission {
  readonly authorities: AuthoritiesState;
  readonly users: UsersState;
  readonly locks: LocksState;
  readonly requests: RequestsState;
  readonly now: Instant;
  /** Why the folds have stopped for good, when they have. */
  readonly failure: Error | undefined;
}

/**
 * Admits a person with a certificate: asked at login, and again for connected people whenever something
 * changed. A connected person stays under a key that was withdrawn since, unless its withdrawal ends
 * sessions. Signature and validity have been checked. Failed logins by others under the same name do not
 * count here. Roles are checked for locks only: which node admits whom is the node's decision.
 * @throws CodedError `access_denied` with the whole reason: for the audit, never for the client.
 */
export function admitClient(
  certificate: Certificate,
  cluster: Admission,
  asked: 'at_login' | 'while_connected',
): void {
  const { keyId, ca, validAfter } = certificate;
  const { authorities, users, failure } = cluster;
  // A fold that has stopped for good would not see a deletion. (Auth being away is another matter.)
  if (failure !== undefined)
    throw refusal(`what this proxy knows of the cluster stands still: ${failure.message}`);
  const keys = asked === 'at_login' ? trustedOf(authorities, 'user') : keysOfSessionsIn(authorities);
  if (!authorityBlobs(keys).some((blob) => blob.equals(ca.blob)))
    throw refusal(`the certificate of ${keyId} is of an authority that is not trusted`);
  const { lifeId } = identityOf(certificate);
  const { status } = userStandingOf(users, {
    username: keyId,
    lifeId,
    validFromMs: Number(validAfter) * second,
  });
  if (status === 'absent') throw refusal(`user ${keyId} does not exist`);
  if (status === 'of_earlier')
    throw refusal(`the certificate is of an earlier user ${keyId}, who was deleted`);
  if (status !== 'present')
    throw refusal(`this release cannot read user ${keyId}, of whom a newer one wrote`);
  const locked = lockOnClient(certificate, cluster);
  if (locked !== undefined) throw refusal(locked);
}

/** The lock that keeps a person out now; undefined when there is none. @throws CodedError as `admitClient` */
export function lockOnClient(
  certificate: Certificate,
  { users, locks, requests, now }: Pick<Admission, 'users' | 'locks' | 'requests' | 'now'>,
): string | undefined {
  const { keyId: user, serial } = certificate;
  const roles = lockableRoles({ requests, users }, identityOf(certificate));
  const lock = lockOn(locks, { user, roles, serial }, now);
  return lock && lockText(lock);
}

/**
 * What a person is told who is cut off by a lock or a deletion; undefined where it was neither. @throws
 * CodedError as `admitClient`
 */
export function lastWordsFor(certificate: Certificate, cluster: Admission): string | undefined {
  const { keyId: username, validAfter } = certificate;
  const { lifeId } = identityOf(certificate);
  const presented = { username, lifeId, validFromMs: Number(validAfter) * second };
  return lockOnClient(certificate, cluster) ?? deletionText(cluster.users, presented);
}

function identityOf(certificate: Certificate): UserIdentity {
  try {
    return userIdentityOf(certificate);
  } catch (e) {
    if (!(e instanceof WireError)) throw e;
    throw refusal(`the certificate of ${certificate.keyId}: ${e.message}`);
  }
}

const refusal = (why: string): CodedError => new CodedError('access_denied', why);
