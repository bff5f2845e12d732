import type { AuthClient } from '../api/client.ts';
import { fromAuthorizedKeyLine } from '../pki/ssh-key.ts';
import { authoritiesView, trustedOf, type AuthoritiesState } from '../views/authorities.ts';
import { clusterView } from '../views/cluster.ts';
import { hostsView, type HostsState } from '../views/hosts.ts';
import { openView } from '../views/open-view.ts';
import { presenceView, type PresenceState } from '../views/presence.ts';
import { usersView, type UsersState } from '../views/users.ts';
import type { View } from '../views/view.ts';
import type { ClusterState } from '../domain/cluster.ts';

/** What a proxy knows of the cluster: folds of its own, which stay when auth is away. */
export interface ProxyViews {
  readonly authorities: View<AuthoritiesState>;
  readonly cluster: View<ClusterState>;
  readonly hosts: View<HostsState>;
  readonly presence: View<PresenceState>;
  readonly users: View<UsersState>;
  close(): void;
}

/** Opens the views. They fill as auth answers; `authorities` empty means that nobody can log in yet. */
export async function openProxyViews(auth: Pick<AuthClient, 'state' | 'presence'>): Promise<ProxyViews> {
  const [authorities, cluster, hosts, users, presence] = await Promise.all([
    openView(authoritiesView, auth.state),
    openView(clusterView, auth.state),
    openView(hostsView, auth.state),
    openView(usersView, auth.state),
    openView(presenceView, auth.presence),
  ]);
  return {
    authorities,
    cluster,
    hosts,
    presence,
    users,
    close: () => {
      for (const view of [authorities, cluster, hosts, users, presence]) view.close();
    },
  };
}

/** Public key blobs of the user authority that are trusted now. */
export const userAuthorityBlobs = (state: AuthoritiesState): Buffer[] =>
  trustedOf(state, 'user').map((key) => fromAuthorizedKeyLine(key.sshPublicKey));
