import type { AuthClient } from '../api/client.ts';
import type { LogSink } from '../base/log-sink.ts';
import { directAddress } from '../domain/reachability.ts';
import { authoritiesView } from '../views/authorities.ts';
import { clusterView } from '../views/cluster.ts';
import { configurationView } from '../views/configuration.ts';
import { hostsView, type HostsState, nameSince } from '../views/hosts.ts';
import { hostsInRole } from '../views/sorted-hosts.ts';
import { locksView } from '../views/locks.ts';
import { openViews, type Views } from '../views/open-views.ts';
import { reportingUnreadable } from '../views/unreadable.ts';
import { recordingView } from '../views/recording.ts';
import { requestsView } from '../views/requests.ts';
import { rolesView } from '../views/roles.ts';
import { trustedClustersView } from '../views/trusted-clusters.ts';
import { usersView } from '../views/users.ts';

const folded = {
  state: {
    authorities: authoritiesView,
    cluster: clusterView,
    configuration: configurationView,
    recording: recordingView,
    roles: rolesView,
    users: usersView,
    locks: locksView,
    requests: requestsView,
    trustedClusters: trustedClustersView,
    /** The proxies: a node sees no other hosts. */
    hosts: hostsView,
  },
};

/** What a node knows about the cluster: its own folds, which stay when auth is away. */
export type NodeViews = Views<typeof folded>;

/** Opens the views. They fill as auth replies; before that nobody can log in. */
export async function openNodeViews(
  { state }: Pick<AuthClient, 'state'>,
  sink: Pick<LogSink, 'warn'>,
): Promise<NodeViews> {
  return reportingUnreadable(await openViews({ state }, folded), sink);
}

/**
 * The address of a proxy's web port for users; a placeholder, as in 4.4, when there is none. Among several,
 * the one that has had its name longest, so that a new proxy cannot change what other people's sessions show.
 */
export function webProxyAddress(hosts: HostsState): string {
  const [proxy] = [...hostsInRole(hosts, 'Proxy')].sort(
    (a, b) => positionOf(hosts, a.hostId) - positionOf(hosts, b.hostId),
  );
  const addresses = proxy && [proxy.publicAddress, directAddress(proxy.reachability)];
  return addresses?.find((one) => one !== undefined && one !== '') ?? placeholder;
}

const placeholder = '<proxyhost>:3080';
const positionOf = (hosts: HostsState, hostId: string): number =>
  nameSince(hosts, hostId, 'Proxy')?.position ?? Number.MAX_SAFE_INTEGER;
