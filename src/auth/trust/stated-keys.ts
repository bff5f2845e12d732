import { CodedError } from '../../base/errors.ts';
import type { AuthorityType, SignedAnnouncement } from '../../domain/authority-facts.ts';
import type { ClusterKey, ClusterKeys } from '../../domain/cluster-keys.ts';
import { provenAnnouncement } from '../../pki/proven-announcement.ts';
import { caPinOf } from '../../pki/ca-pin.ts';
import { trustedOf } from '../../views/authorities.ts';
import { remoteClusters } from '../../views/remote-clusters.ts';
import { trustedClusters } from '../../views/trusted-clusters.ts';
import type { AuthDeps } from '../deps.ts';

interface Stated {
  readonly clusterName: string;
  readonly type: AuthorityType;
  readonly statement: SignedAnnouncement;
  /** The number that was accepted last. */
  readonly after: number;
}

/**
 * The keys that another cluster states, each of which has signed. @throws CodedError as
 * `provenAnnouncement`
 */
export function statedKeys(
  { world }: Pick<AuthDeps, 'world'>,
  { clusterName, type, statement, after }: Stated,
): ClusterKeys {
  const { keys, number } = provenAnnouncement(statement, { clusterName, type, now: world.now(), after });
  return { keys: [...keys], number };
}

/**
 * Refuses keys that are this cluster's, or of a cluster that has another name: a key says which cluster a
 * certificate is of, so it is of one cluster. Within one, a key serves one authority.
 * @throws CodedError `access_denied`
 */
export function requireOwnKeys(
  { views }: Pick<AuthDeps, 'views'>,
  clusterName: string,
  stated: { readonly host: readonly ClusterKey[]; readonly user?: readonly ClusterKey[] },
): void {
  const authorities = views.authorities.state();
  const trusted = trustedClusters(views.trustedClusters.state());
  const remote = remoteClusters(views.remoteClusters.state());
  const others = [
    ...trusted.filter((one) => one.clusterName !== clusterName),
    ...remote.filter((one) => one.clusterName !== clusterName),
  ].map(({ clusterName: name }) => name);
  const taken = [
    ...trustedOf(authorities, 'user'),
    ...trustedOf(authorities, 'host'),
    ...trusted.flatMap(({ clusterName: name, trust }) =>
      others.includes(name) ? [...trust.host.keys, ...trust.user.keys] : [],
    ),
    ...remote.flatMap(({ clusterName: name, remote: { host } }) => (others.includes(name) ? host.keys : [])),
  ];
  const { host, user = [] } = stated;
  requireApart([...host, ...user], taken, 'it states a key that another cluster has');
  requireApart(host, user, 'it states one key for two authorities');
  requireOneHostAuthority({ views }, clusterName, host);
}

/** A cluster that is known in the other direction already is that very one, by one key at least. */
function requireOneHostAuthority(
  { views }: Pick<AuthDeps, 'views'>,
  clusterName: string,
  host: readonly ClusterKey[],
): void {
  const known = [
    ...trustedClusters(views.trustedClusters.state()).flatMap((one) =>
      one.clusterName === clusterName ? [one.trust.host.keys] : [],
    ),
    ...remoteClusters(views.remoteClusters.state()).flatMap((one) =>
      one.clusterName === clusterName ? [one.remote.host.keys] : [],
    ),
  ];
  for (const keys of known)
    if (!keys.some((key) => host.some((one) => one.sshPublicKey === key.sshPublicKey)))
      throw new CodedError(
        'access_denied',
        `a cluster with the name ${JSON.stringify(clusterName)} is known already, and has other keys: if it was set up ` +
          'again, remove what is known of it first ("tctl rm remote_cluster/NAME", "tctl rm trusted_cluster/NAME")',
      );
}

function requireApart(keys: readonly ClusterKey[], taken: readonly ClusterKeyHalves[], why: string): void {
  const [lines, pins] = [
    new Set(taken.map(({ sshPublicKey }) => sshPublicKey)),
    new Set(taken.map(({ tlsCertificatePem }) => caPinOf(tlsCertificatePem))),
  ];
  if (keys.some((key) => lines.has(key.sshPublicKey) || pins.has(caPinOf(key.tlsCertificatePem))))
    throw new CodedError('access_denied', why);
}

type ClusterKeyHalves = Pick<ClusterKey, 'sshPublicKey' | 'tlsCertificatePem'>;
