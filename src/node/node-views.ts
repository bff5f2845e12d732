import type { AuthClient } from '../api/client.ts';
import type { ClusterState } from '../domain/cluster.ts';
import { fromAuthorizedKeyLine } from '../pki/ssh-key.ts';
import { authoritiesView, type AuthoritiesState, trustedOf } from '../views/authorities.ts';
import { clusterView } from '../views/cluster.ts';
import { hostsInRole, hostsView, type HostsState, nameSince } from '../views/hosts.ts';
import { openView } from '../views/open-view.ts';
import { rolesView, type RolesState } from '../views/roles.ts';
import { usersView, type UsersState } from '../views/users.ts';
import type { View } from '../views/view.ts';

/** What a node knows of the cluster: folds of its own, which stay when auth is away. Of hosts it sees the proxies. */
export interface NodeViews {
  readonly authorities: View<AuthoritiesState>;
  readonly cluster: View<ClusterState>;
  readonly roles: View<RolesState>;
  readonly users: View<UsersState>;
  readonly hosts: View<HostsState>;
  /** Undefined while all of them follow. */
  failure(): Error | undefined;
  close(): void;
}

/** Opens the views. They fill as auth answers; before that nobody can log in. */
export async function openNodeViews({ state }: Pick<AuthClient, 'state'>): Promise<NodeViews> {
  const [authorities, cluster, roles, users, hosts] = await Promise.all([
    openView(authoritiesView, state),
    openView(clusterView, state),
    openView(rolesView, state),
    openView(usersView, state),
    openView(hostsView, state),
  ]);
  const all = [authorities, cluster, roles, users, hosts];
  return {
    authorities,
    cluster,
    roles,
    users,
    hosts,
    failure: () => all.map((view) => view.failure()).find((failure) => failure !== undefined),
    close: () => {
      for (const view of all) view.close();
    },
  };
}

/** Public key blobs of the user authority that are trusted now. */
export const userAuthorityBlobs = (state: AuthoritiesState): Buffer[] =>
  trustedOf(state, 'user').map((key) => fromAuthorizedKeyLine(key.sshPublicKey));

/** Public key blobs of the host authority that are trusted now. */
export const hostAuthorityBlobs = (state: AuthoritiesState): Buffer[] =>
  trustedOf(state, 'host').map((key) => fromAuthorizedKeyLine(key.sshPublicKey));

/**
 * What users call the web port of a proxy; a placeholder, as in 4.4, when there is none. Of several the one that has its name
 * longest: a proxy that comes in later tells nobody else's sessions anything.
 */
export function webProxyAddress(hosts: HostsState): string {
  const [proxy] = [...hostsInRole(hosts, 'Proxy')].sort(
    (a, b) => positionOf(hosts, a.hostId) - positionOf(hosts, b.hostId),
  );
  return [proxy?.publicAddress, proxy?.address].find((one) => one !== undefined && one !== '') ?? placeholder;
}

const placeholder = '<proxyhost>:3080';
const positionOf = (hosts: HostsState, hostId: string): number =>
  nameSince(hosts, hostId, 'Proxy')?.position ?? Number.MAX_SAFE_INTEGER;
