import type { AuthorityType } from '../domain/authority-facts.ts';
import type { ClusterKey } from '../domain/cluster-keys.ts';
import { idInStream } from '../domain/streams.ts';
import {
  trustedCluster,
  type TrustedCluster,
  type TrustedClusterFact,
  trustedClusterFact,
} from '../domain/trusted-cluster.ts';
import {
  type Entities,
  entitiesFrom,
  foldEntity,
  type Folding,
  noEntities,
  storedEntities,
  type StoredEntities,
} from './entities.ts';
import { readFact, typesOf } from './read-fact.ts';
import { entriesOf, getIn } from './table.ts';
import type { Projection } from './view.ts';

/** Clusters whose people are let in here, by name. One that cannot be read lets nobody in. */
export type TrustedClustersState = Entities<TrustedCluster>;

const types = typesOf(trustedClusterFact);

const folding: Folding<TrustedCluster, TrustedClusterFact> = {
  evolve: (before, fact) => {
    const state = trustedCluster.evolve(before ?? trustedCluster.initial, fact);
    return state.status === 'absent' ? undefined : state;
  },
  settles: ({ type }) => type === 'trusted_cluster.deleted',
};

export const trustedClustersView: Projection<TrustedClustersState> = {
  name: 'trusted-clusters.1',
  initial: noEntities,
  apply(clusters, event) {
    const name = idInStream(event.stream, 'trusted');
    if (name === undefined) return clusters;
    return foldEntity(clusters, name, readFact(trustedClusterFact, types, event), folding);
  },
  encode: storedEntities,
  decode: (stored) => entitiesFrom(stored as StoredEntities<TrustedCluster>),
};

/** A cluster whose people are let in, with the name that it has. */
export interface NamedTrust {
  readonly clusterName: string;
  readonly trust: TrustedCluster;
}

/** By name. */
export const trustedClusters = (clusters: TrustedClustersState): readonly NamedTrust[] =>
  entriesOf(clusters.known)
    .map(([clusterName, trust]) => ({ clusterName, trust }))
    .sort((a, b) => (a.clusterName < b.clusterName ? -1 : 1));

export const findTrusted = (
  { known }: TrustedClustersState,
  clusterName: string,
): TrustedCluster | undefined => getIn(known, clusterName);

/** Where this cluster's proxies open a tunnel to a cluster that it trusts; undefined: nowhere. */
export function tunnelAddressOf(clusters: TrustedClustersState, clusterName: string): string | undefined {
  const trust = findTrusted(clusters, clusterName);
  return trust?.enabled === true ? trust.tunnelAddress : undefined;
}

/**
 * The keys of an authority of the clusters that are enabled. `while_connected`: also those that a rotation
 * has
 * withdrawn since.
 */
export const keysOfTrusted = (
  clusters: TrustedClustersState,
  authority: AuthorityType,
  asked: 'at_login' | 'while_connected' = 'at_login',
): readonly ClusterKey[] =>
  trustedClusters(clusters).flatMap(({ trust }) => keysFor(trust, authority, asked));

function keysFor(
  trust: TrustedCluster,
  authority: AuthorityType,
  asked: 'at_login' | 'while_connected',
): readonly ClusterKey[] {
  if (!trust.enabled) return [];
  const { keys, letStay } = trust[authority];
  return asked === 'at_login' ? keys : [...keys, ...letStay];
}

/**
 * The cluster whose user authority has a key; undefined for a key of nobody that is enabled, and for one that
 * several clusters have: whose people it signs for could not be told then.
 */
export function clusterOfKey(
  clusters: TrustedClustersState,
  isKey: (key: ClusterKey) => boolean,
  asked: 'at_login' | 'while_connected',
): NamedTrust | undefined {
  const [found, ...more] = trustedClusters(clusters).filter(({ trust }) =>
    keysFor(trust, 'user', asked).some(isKey),
  );
  return more.length > 0 ? undefined : found;
}
