import { remoteCluster } from '../../../domain/remote-cluster.ts';
import { type RemoteClusterDocument, remoteClusterKind } from '../../../domain/resources/remote-cluster.ts';
import { type ReverseTunnelDocument, reverseTunnelKind } from '../../../domain/resources/reverse-tunnel.ts';
import { remoteClusterStream } from '../../../domain/streams.ts';
import { step, transact } from '../../../log/execute.ts';
import { fingerprint, fromAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import { type LeafStanding, leafStandings } from '../../../views/live-proxies.ts';
import { type NamedRemote, remoteClusters } from '../../../views/remote-clusters.ts';
import { trustedClusters, tunnelAddressOf } from '../../../views/trusted-clusters.ts';
import { causeOf, termsOf } from '../../deps.ts';
import type { ServedKind } from '../served-kind.ts';

const documentOf = (
  { clusterName, remote, since }: NamedRemote,
  { status, lastHeardAt }: LeafStanding,
): RemoteClusterDocument => ({
  kind: 'remote_cluster',
  version: 'v3',
  metadata: { name: clusterName },
  spec: {
    ...(since !== undefined && { since }),
    fingerprints: remote.host.keys.map(({ sshPublicKey }) =>
      fingerprint(fromAuthorizedKeyLine(sshPublicKey)),
    ),
  },
  status: { connection: status, ...(lastHeardAt !== undefined && { last_heartbeat: lastHeardAt }) },
});

/** Clusters that trust this one. */
export const servedRemoteClusters: ServedKind = {
  kind: remoteClusterKind,
  list: ({ views }) => {
    const standingOf = leafStandings(views.hosts.state(), views.presence.state());
    return Promise.resolve(
      remoteClusters(views.remoteClusters.state()).map((one) => documentOf(one, standingOf(one.clusterName))),
    );
  },
  remove: (deps, call, name) =>
    Promise.resolve({
      commit: async () => {
        const { position } = await transact(
          deps.log.state,
          [step(remoteCluster, remoteClusterStream(name), { type: 'delete' })],
          causeOf(deps, call),
          termsOf(call, await deps.views.fresh()),
        );
        if (position === undefined) throw new Error('bug: a deletion made no fact');
        return position;
      },
    }),
};

/** The tunnels that follow from the clusters that this one trusts. */
export const servedReverseTunnels: ServedKind = {
  kind: reverseTunnelKind,
  list: ({ views }) => {
    const trusted = views.trustedClusters.state();
    return Promise.resolve(
      trustedClusters(trusted).flatMap(({ clusterName }): ReverseTunnelDocument[] => {
        const address = tunnelAddressOf(trusted, clusterName);
        return address === undefined
          ? []
          : [
              {
                kind: 'reverse_tunnel',
                version: 'v2',
                metadata: { name: clusterName },
                spec: { cluster_name: clusterName, dial_addrs: [address] },
              },
            ];
      }),
    );
  },
};
