import { CodedError } from '../base/errors.ts';
import { second } from '../base/duration.ts';
import type { Certificate } from '../pki/ssh-certificate.ts';
import { lifeIdOf } from '../pki/user-certificate.ts';
import { WireError } from '../pki/wire.ts';
import type { AuthoritiesState } from '../views/authorities.ts';
import { userStandingOf } from '../views/user-life.ts';
import type { UsersState } from '../views/users.ts';
import { userAuthorityBlobs } from './proxy-views.ts';

/** What of the cluster decides who may use the proxy. */
export interface Admission {
  readonly authorities: AuthoritiesState;
  readonly users: UsersState;
  /** Why the folds stand still for good, when they do. */
  readonly failure: Error | undefined;
}

/**
 * Lets a person with a certificate in: asked at login, and again of those who are here whenever something changed. Its
 * signature and validity have been checked. Failed logins of others in the same name do not count here. Roles are not looked at: which node admits whom is the node's decision.
 * @throws CodedError `access_denied` with the whole reason: for the audit, never for the client.
 */
export function admitClient(certificate: Certificate, cluster: Admission): void {
  const { keyId, ca, validAfter } = certificate;
  const { authorities, users, failure } = cluster;
  // A fold that stands still for good would not see a deletion any more. (Auth being away is another matter.)
  if (failure !== undefined)
    throw refusal(`what this proxy knows of the cluster stands still: ${failure.message}`);
  if (!userAuthorityBlobs(authorities).some((blob) => blob.equals(ca.blob)))
    throw refusal(`the certificate of ${keyId} is of an authority that is not trusted`);
  const { status } = userStandingOf(users, {
    username: keyId,
    lifeId: lifeOf(certificate),
    validFromMs: Number(validAfter) * second,
  });
  if (status === 'absent') throw refusal(`user ${keyId} does not exist`);
  if (status === 'of_earlier')
    throw refusal(`the certificate is of an earlier user ${keyId}, who was deleted`);
}

function lifeOf(certificate: Certificate): string {
  try {
    return lifeIdOf(certificate);
  } catch (e) {
    if (!(e instanceof WireError)) throw e;
    throw refusal(`the certificate of ${certificate.keyId}: ${e.message}`);
  }
}

const refusal = (why: string): CodedError => new CodedError('access_denied', why);
