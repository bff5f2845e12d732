import { firstValueFrom } from 'rxjs';
import { filter } from 'rxjs/operators';
import type { AuthClient } from '../api/client.ts';
import type { Instant } from '../base/time.ts';
import type { ClusterState } from '../domain/cluster.ts';
import { fromAuthorizedKeyLine } from '../pki/ssh-key.ts';
import { authoritiesView, trustedOf, type AuthoritiesState } from '../views/authorities.ts';
import { clusterView } from '../views/cluster.ts';
import { hostsInRole, hostsView, type HostsState, nameSince } from '../views/hosts.ts';
import { openView } from '../views/open-view.ts';
import { newestHeardMs, presenceOf, type PresenceState, presenceViewBy } from '../views/presence.ts';
import type { ReaderClock } from '../views/reader-clock.ts';
import { usersView, type UsersState } from '../views/users.ts';
import type { View } from '../views/view.ts';
import { indexNodes, type NodeIndex } from './node-index.ts';

/** What a proxy knows of the cluster: folds of its own, which stay when auth is away. */
export interface ProxyViews {
  readonly authorities: View<AuthoritiesState>;
  readonly cluster: View<ClusterState>;
  readonly hosts: View<HostsState>;
  readonly presence: View<PresenceState>;
  readonly users: View<UsersState>;
  /** Undefined while all of them follow. */
  failure(): Error | undefined;
  close(): void;
}

/** Opens the views and waits until they hold what auth had to tell when it was first asked. */
export async function openProxyViews(
  auth: Pick<AuthClient, 'state' | 'presence'>,
  clock: ReaderClock,
): Promise<ProxyViews> {
  const [authorities, cluster, hosts, users, presence] = await Promise.all([
    openView(authoritiesView, auth.state),
    openView(clusterView, auth.state),
    openView(hostsView, auth.state),
    openView(usersView, auth.state),
    openView(presenceViewBy(clock), auth.presence),
  ]);
  const all = [authorities, cluster, hosts, users, presence];
  const close = (): void => {
    for (const view of all) view.close();
  };
  try {
    // No authority, no cluster: the first that is heard of it brings the head of the log with it.
    await firstValueFrom(authorities.changes.pipe(filter((state) => trustedOf(state, 'user').length > 0)));
    const head = auth.state.headSeen();
    await Promise.all([authorities, cluster, hosts, users].map((view) => view.reached(head)));
  } catch (e) {
    close();
    throw e;
  }
  return {
    authorities,
    cluster,
    hosts,
    presence,
    users,
    failure: () => all.map((view) => view.failure()).find((failure) => failure !== undefined),
    close,
  };
}

/** Public key blobs of the user authority that are trusted now. */
export const userAuthorityBlobs = (state: AuthoritiesState): Buffer[] =>
  trustedOf(state, 'user').map((key) => fromAuthorizedKeyLine(key.sshPublicKey));

/** The nodes of the cluster, ready to be asked for one. */
export interface NodeDirectory {
  index(): NodeIndex;
  /**
   * Judged at the moment at which this proxy last heard of any host: while auth is away nobody is heard of, and that says
   * nothing of the nodes.
   */
  isAlive(hostId: string): boolean;
  /** Undefined when it is alive, or was never seen. */
  goneSince(hostId: string): Instant | undefined;
}

export function nodeDirectory(views: Pick<ProxyViews, 'hosts' | 'presence'>): NodeDirectory {
  const index = remembered((hosts: HostsState) =>
    indexNodes(hostsInRole(hosts, 'Node'), (hostId) => nameSince(hosts, hostId, 'Node')),
  );
  const newest = remembered((state: PresenceState) => ({ heardMs: newestHeardMs(state) }));
  const seen = (hostId: string): ReturnType<typeof presenceOf> => {
    const presence = views.presence.state();
    return presenceOf(presence, { hostId, role: 'Node' }, newest(presence).heardMs);
  };
  return {
    index: () => index(views.hosts.state()),
    isAlive: (hostId) => seen(hostId).status === 'alive',
    goneSince: (hostId) => {
      const presence = seen(hostId);
      return presence.status === 'gone' ? presence.lastSeenAt : undefined;
    },
  };
}

/** States are never changed, only replaced: what was made of one holds until there is another. */
function remembered<S extends object, T>(make: (state: S) => T): (state: S) => T {
  let last: { readonly state: S; readonly made: T } | undefined;
  return (state) => {
    if (last?.state !== state) last = { state, made: make(state) };
    return last.made;
  };
}
