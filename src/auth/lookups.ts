/** Questions to the folds that several use cases ask. Await `views.fresh()` first where a stale answer would do harm. */
import type { HostSigner } from '../api/operations.ts';
import { CodedError } from '../base/errors.ts';
import type { AuthorityType } from '../domain/authority.ts';
import type { ClusterState } from '../domain/cluster.ts';
import type { RoleSpec } from '../domain/role-spec.ts';
import { trustedOf } from '../views/authorities.ts';
import { lookUpRoles } from '../views/roles.ts';
import type { AuthViews } from './auth-views.ts';

/** @throws CodedError `unavailable` before the first start is done. */
export function clusterOf(views: Pick<AuthViews, 'cluster'>): Extract<ClusterState, { status: 'created' }> {
  const state = views.cluster.state();
  if (state.status === 'absent') throw new CodedError('unavailable', 'the cluster does not exist yet');
  return state;
}

/** What to trust of an authority, the active key first. */
export function signerOfCluster(
  views: Pick<AuthViews, 'cluster' | 'authorities'>,
  type: AuthorityType,
): HostSigner {
  const keys = trustedOf(views.authorities.state(), type);
  return {
    clusterName: clusterOf(views).clusterName,
    checkingKeys: keys.map((one) => one.sshPublicKey),
    tlsCertificatesPem: keys.map((one) => one.tlsCertificatePem),
  };
}

/**
 * The roles a person has. With one of them gone nothing is decided: it might have denied.
 * @throws CodedError `access_denied` naming those that are gone.
 */
export function rolesOf(views: Pick<AuthViews, 'roles'>, names: readonly string[]): readonly RoleSpec[] {
  const found = lookUpRoles(views.roles.state(), names);
  if (found.status === 'missing')
    throw new CodedError(
      'access_denied',
      `role ${found.names.map((name) => `"${name}"`).join(', ')} is not found`,
    );
  return found.roles;
}
