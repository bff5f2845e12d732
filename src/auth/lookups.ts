/**
 * Lookups in the folds that several use cases need. Await `views.fresh()` first where a stale result would do
 * harm.
 */
import type { HostSigner } from '../api/operations/cluster.ts';
import { CodedError } from '../base/errors.ts';
import type { AuthorityType } from '../domain/authority-facts.ts';
import { type ClusterState, type SecondFactor, secondFactor } from '../domain/cluster.ts';
import type { RoleSpec } from '../domain/role-spec.ts';
import { trustedOf } from '../views/authorities.ts';
import { lookUpRoles, unreadableRoles } from '../views/roles.ts';
import type { AuthViews } from './auth-views.ts';

/** @throws CodedError `unavailable` before the first start is done. */
export function clusterOf(views: Pick<AuthViews, 'cluster'>): Extract<ClusterState, { status: 'created' }> {
  const state = views.cluster.state();
  if (state.status === 'absent') throw new CodedError('unavailable', 'the cluster does not exist yet');
  return state;
}

/**
 * What a login requires besides the password.
 * @throws CodedError `unavailable` where a newer release set a value that this one does not know: it lets
 *   nobody in with less.
 */
export function secondFactorOf(views: Pick<AuthViews, 'cluster'>): SecondFactor {
  const known = secondFactor.safeParse(clusterOf(views).secondFactor);
  if (!known.success) throw new CodedError('unavailable', foreignSecondFactor(views) ?? '');
  return known.data;
}

/**
 * Why nobody can log in here; undefined where this release knows what the cluster requires, or does not know
 * the cluster yet.
 */
export function foreignSecondFactor({
  cluster,
}: {
  readonly cluster?: Pick<AuthViews['cluster'], 'state'>;
}): string | undefined {
  const state = cluster?.state();
  if (state?.status !== 'created' || secondFactor.safeParse(state.secondFactor).success) return undefined;
  return `the cluster wants the second factor ${JSON.stringify(state.secondFactor)}, which this release does not know: nobody can log in here, upgrade this auth server`;
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
 * The roles a person has. If one of them is missing nothing is decided, because it might have denied.
 * @throws CodedError `access_denied` naming those that are missing.
 */
export function rolesOf(views: Pick<AuthViews, 'roles'>, names: readonly string[]): readonly RoleSpec[] {
  const found = lookUpRoles(views.roles.state(), names);
  if (found.status === 'missing')
    throw new CodedError(
      'access_denied',
      unreadableRoles(found) ?? `role ${found.names.map((name) => `"${name}"`).join(', ')} is not found`,
    );
  return found.roles;
}
