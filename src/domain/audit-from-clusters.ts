import { catalogue } from './audit-catalogue.ts';
import type { EventBody } from './audit-kind.ts';
import type { ClusterKey } from './cluster-keys.ts';
import type { RemoteClusterFact } from './remote-cluster.ts';
import type { RoleMap } from './role-map.ts';
import type { TrustedClusterFact, TrustedClusterSettings } from './trusted-cluster.ts';

/** The audit events of a cluster whose people are let in here. `by` is who did it. */
export function tellTrusted(
  fact: TrustedClusterFact | undefined,
  name: string,
  by: string,
): EventBody | undefined {
  const changed = { user: by, name, updated_by: by };
  switch (fact?.type) {
    case 'trusted_cluster.created':
      return catalogue.trustedClusterCreate({ ...changed, ...settingsOf(fact.data) });
    case 'trusted_cluster.updated':
      return catalogue.trustedClusterUpdate({ ...changed, ...settingsOf(fact.data) });
    case 'trusted_cluster.keys_changed': {
      const { authority: type, keys, how } = fact.data;
      return catalogue.trustedClusterKeys({ ...changed, type, how, keys: idsOf(keys) });
    }
    case 'trusted_cluster.deleted':
      return catalogue.trustedClusterDelete(changed);
    case undefined:
      return undefined;
  }
}

/** The audit events of a cluster that trusts this one. */
export function tellRemote(
  fact: RemoteClusterFact | undefined,
  name: string,
  by: string,
): EventBody | undefined {
  switch (fact?.type) {
    case 'remote_cluster.admitted': {
      const { tokenId, address, host } = fact.data;
      return catalogue.remoteClusterCreate({
        ...{ name, token_id: tokenId, 'addr.remote': address, keys: idsOf(host.keys) },
      });
    }
    case 'remote_cluster.keys_changed':
      return catalogue.remoteClusterKeys({ name, keys: idsOf(fact.data.keys) });
    case 'remote_cluster.deleted':
      return catalogue.remoteClusterDelete({ user: by, name, updated_by: by });
    case undefined:
      return undefined;
  }
}

const settingsOf = ({ enabled, webProxyAddress, tunnelAddress, roleMap }: TrustedClusterSettings) => ({
  enabled,
  web_proxy_addr: webProxyAddress,
  tunnel_addr: tunnelAddress,
  role_map: mapTexts(roleMap),
});

/** `remote -> local, local`, one for each mapping. */
export const mapTexts = (map: RoleMap): string[] =>
  map.map(({ remote, local }) => `${remote} -> ${local.join(', ')}`);

const idsOf = (keys: readonly ClusterKey[]): string[] => keys.map(({ keyId }) => keyId);
