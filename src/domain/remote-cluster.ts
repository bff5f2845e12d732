import { z } from 'zod';
import { CodedError, unreachable } from '../base/errors.ts';
import type { Decider } from '../log/decider.ts';
import {
  areSameKeys,
  clusterKeys,
  type ClusterKeys,
  keysAfter,
  type KnownKeys,
  knownKeys,
} from './cluster-keys.ts';
import { requireFollowing } from './trusted-cluster.ts';
import { writerReads } from './writer-reads.ts';

export const remoteClusterFact = z.discriminatedUnion('type', [
  /** The stream has the name of that cluster. It has shown a token, and keeps its keys. */
  z.object({
    type: z.literal('remote_cluster.admitted'),
    data: z.object({ host: clusterKeys, tokenId: z.string(), address: z.string() }),
  }),
  /** By a statement that a key known before has signed. */
  z.object({ type: z.literal('remote_cluster.keys_changed'), data: clusterKeys }),
  z.object({ type: z.literal('remote_cluster.deleted'), data: z.object({}) }),
]);
export type RemoteClusterFact = z.infer<typeof remoteClusterFact>;

export interface AdmitCluster {
  readonly type: 'admit';
  readonly host: ClusterKeys;
  readonly tokenId: string;
  /** `ip:port` it came from. */
  readonly address: string;
}
export interface FollowLeaf {
  readonly type: 'follow-keys';
  /** Each key in it has signed: that was checked. */
  readonly stated: ClusterKeys;
}
export interface DeleteRemoteCluster {
  readonly type: 'delete';
}
export type RemoteClusterCommand = AdmitCluster | FollowLeaf | DeleteRemoteCluster;

export interface RemoteCluster {
  readonly status: 'admitted';
  readonly host: KnownKeys;
  /** Ids of the tokens with which it was admitted, also before it was deleted. */
  readonly tokens: readonly string[];
}
export type RemoteClusterState =
  { readonly status: 'absent'; readonly tokens: readonly string[] } | RemoteCluster;

/** Another cluster, which trusts this one: its proxies open tunnels to here. */
export const remoteCluster: Decider<RemoteClusterState, RemoteClusterCommand, RemoteClusterFact> = {
  fact: writerReads(remoteClusterFact),
  initial: { status: 'absent', tokens: [] },

  decide(state, command) {
    switch (command.type) {
      case 'admit':
        return admit(state, command);
      case 'follow-keys': {
        const { host } = requireAdmitted(state);
        const { stated } = command;
        requireFollowing(host, stated);
        return areSameKeys(host.keys, stated.keys) && stated.number === host.number
          ? []
          : [{ type: 'remote_cluster.keys_changed', data: stated }];
      }
      case 'delete':
        requireAdmitted(state);
        return [{ type: 'remote_cluster.deleted', data: {} }];
      default:
        return unreachable(command);
    }
  },

  evolve(state, fact) {
    switch (fact.type) {
      case 'remote_cluster.admitted': {
        const { host, tokenId } = fact.data;
        return { status: 'admitted', host: knownKeys(host), tokens: [...state.tokens, tokenId] };
      }
      case 'remote_cluster.keys_changed':
        return state.status === 'admitted'
          ? { ...state, host: keysAfter(state.host, fact.data, 'announced') }
          : state;
      case 'remote_cluster.deleted':
        return { status: 'absent', tokens: state.tokens };
      default:
        return unreachable(fact);
    }
  },
};

/** A token is used once: what it admitted is not admitted by it again after somebody has deleted it. */
function admit(state: RemoteClusterState, { host, tokenId, address }: AdmitCluster): RemoteClusterFact[] {
  const isAgain = state.tokens.includes(tokenId);
  if (state.status === 'absent') {
    if (isAgain) throw new CodedError('access_denied', 'the token is used up: the cluster was deleted since');
  } else {
    if (!areSameKeys(state.host.keys, host.keys))
      throw new CodedError(
        'already_exists',
        'a cluster of that name with other keys is known already: if it was set up again, an operator here ' +
          'deletes the one before ("tctl rm remote_cluster/NAME") and makes another token',
      );
    if (isAgain) return [];
  }
  return [{ type: 'remote_cluster.admitted', data: { host, tokenId, address } }];
}

function requireAdmitted(state: RemoteClusterState): RemoteCluster {
  if (state.status === 'absent') throw new CodedError('not_found', 'the remote cluster is not found');
  return state;
}
