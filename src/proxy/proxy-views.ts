import { firstValueFrom } from 'rxjs';
import { filter } from 'rxjs/operators';
import type { AuthClient } from '../api/client.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Instant } from '../base/time.ts';
import type { HostInfo } from '../domain/host-info.ts';
import { lockText } from '../domain/lock.ts';
import { authoritiesView, trustedOf } from '../views/authorities.ts';
import { clusterView } from '../views/cluster.ts';
import { configurationView } from '../views/configuration.ts';
import { hostsView } from '../views/hosts.ts';
import { type LeafStanding, leafStandings } from '../views/live-proxies.ts';
import { lockOn, locksView } from '../views/locks.ts';
import { openViews, type Views } from '../views/open-views.ts';
import { presenceOf, type PresenceState, presenceViewBy, seenOf } from '../views/presence.ts';
import type { ReaderClock } from '../views/reader-clock.ts';
import { requestsView } from '../views/requests.ts';
import { remoteClustersView } from '../views/remote-clusters.ts';
import { rolesView } from '../views/roles.ts';
import { trustedClustersView } from '../views/trusted-clusters.ts';
import { reportingUnreadable } from '../views/unreadable.ts';
import { usersView } from '../views/users.ts';
import { type NodeIndex, nodeIndexer } from './ssh/node-index.ts';

const foldedBy = (clock: ReaderClock) => ({
  state: {
    authorities: authoritiesView,
    cluster: clusterView,
    configuration: configurationView,
    hosts: hostsView,
    users: usersView,
    locks: locksView,
    roles: rolesView,
    requests: requestsView,
    trustedClusters: trustedClustersView,
    remoteClusters: remoteClustersView,
  },
  presence: { presence: presenceViewBy(clock) },
});

/** What a proxy knows about the cluster: its own folds, which stay when auth is away. */
export type ProxyViews = Views<ReturnType<typeof foldedBy>>;

/** Opens the views and waits until they contain everything that auth had when it was first asked. */
export async function openProxyViews(
  auth: Pick<AuthClient, 'state' | 'presence'>,
  clock: ReaderClock,
  sink: Pick<LogSink, 'warn'>,
): Promise<ProxyViews> {
  const views = reportingUnreadable(await openViews(auth, foldedBy(clock)), sink);
  try {
    // Without an authority there is no cluster yet: the first news of it comes with the head of the log.
    await firstValueFrom(
      views.authorities.changes.pipe(filter((state) => trustedOf(state, 'user').length > 0)),
    );
    await views.reached(auth.state.headSeen());
    return views;
  } catch (e) {
    views.close();
    throw e;
  }
}

/** The nodes of the cluster, for lookups by name. */
export interface NodeDirectory {
  index(): NodeIndex;
  /**
   * Judged at the moment when this proxy last heard of any host: while auth is away it hears of none, which
   * means nothing about the nodes.
   */
  isAlive(hostId: string): boolean;
  /** The proxies that it hangs on, as its last heartbeat said. */
  hangsOn(hostId: string): readonly string[];
  /** Undefined when it is alive, or was never seen. */
  goneSince(hostId: string): Instant | undefined;
  /** The text of the lock for a client that requests a node that is locked now; undefined for others. */
  lockedBy(node: Pick<HostInfo, 'hostId' | 'nodename'>): string | undefined;
}

export function nodeDirectory(
  views: Pick<ProxyViews, 'hosts' | 'locks' | 'presence'>,
  now: () => Instant,
): NodeDirectory {
  const index = nodeIndexer();
  const seen = (hostId: string): ReturnType<typeof presenceOf> => {
    const presence = views.presence.state();
    return presenceOf(presence, { hostId, role: 'Node' }, presence.newestHeardMs);
  };
  return {
    index: () => index(views.hosts.state()),
    isAlive: (hostId) => seen(hostId).status === 'alive',
    hangsOn: (hostId) => seenOf(views.presence.state(), { hostId, role: 'Node' })?.proxies ?? [],
    goneSince: (hostId) => {
      const presence = seen(hostId);
      return presence.status === 'gone' ? presence.lastSeenAt : undefined;
    },
    lockedBy: ({ hostId, nodename }) => {
      const lock = lockOn(views.locks.state(), { node: [hostId, nodename] }, now());
      return lock && lockText(lock);
    },
  };
}

/** What the proxies of the cluster have reported of one that trusts it. */
export function leafStandingsOf(
  views: Pick<ProxyViews, 'hosts' | 'presence'>,
): (clusterName: string) => LeafStanding {
  const standings = remembered((presence: PresenceState) => leafStandings(views.hosts.state(), presence));
  return (clusterName) => standings(views.presence.state())(clusterName);
}

/** States are never changed, only replaced: a value computed from one is valid until there is another. */
function remembered<S extends object, T>(make: (state: S) => T): (state: S) => T {
  let last: { readonly state: S; readonly made: T } | undefined;
  return (state) => {
    if (last?.state !== state) last = { state, made: make(state) };
    return last.made;
  };
}
