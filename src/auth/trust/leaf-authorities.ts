import { leafAuthorities as row } from '../../api/operations/trust.ts';
import type { HostSigner } from '../../api/operations/cluster.ts';
import { CodedError } from '../../base/errors.ts';
import { findRemote, type NamedRemote, remoteClusters } from '../../views/remote-clusters.ts';
import type { AuthDeps } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { clusterOf, signerOfCluster } from '../lookups.ts';

/** What somebody of this cluster must trust, to talk to the hosts of a leaf. */
export const leafAuthorities = implementing(row, async (deps, _call, { clusterName }) => {
  await deps.views.fresh();
  const remote = findRemote(deps.views.remoteClusters.state(), clusterName);
  if (remote === undefined) throw unknownCluster(clusterName);
  return signerOf({ clusterName, remote });
});

/** What somebody of this cluster must trust: its own hosts first, then those of each leaf. */
export const signersForPeople = ({ views }: Pick<AuthDeps, 'views'>): HostSigner[] => [
  signerOfCluster(views, 'host'),
  ...remoteClusters(views.remoteClusters.state()).map(signerOf),
];

const signerOf = ({ clusterName, remote }: Pick<NamedRemote, 'clusterName' | 'remote'>): HostSigner => ({
  clusterName,
  checkingKeys: remote.host.keys.map(({ sshPublicKey }) => sshPublicKey),
  tlsCertificatesPem: remote.host.keys.map(({ tlsCertificatePem }) => tlsCertificatePem),
});

/** Whether a certificate can lead to this cluster. Empty: to the one that signs it. */
export const leadsTo = ({ views }: Pick<AuthDeps, 'views'>, clusterName: string): boolean =>
  clusterName === '' ||
  clusterName === clusterOf(views).clusterName ||
  findRemote(views.remoteClusters.state(), clusterName) !== undefined;

/** @throws CodedError `not_found` */
export function requireToLeadTo(deps: Pick<AuthDeps, 'views'>, clusterName: string): void {
  if (!leadsTo(deps, clusterName)) throw unknownCluster(clusterName);
}

const unknownCluster = (clusterName: string): CodedError =>
  new CodedError(
    'not_found',
    `this cluster does not lead to a cluster ${JSON.stringify(clusterName)}: "tsh clusters" shows those it leads to`,
  );
