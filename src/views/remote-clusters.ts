import type { ClusterKey } from '../domain/cluster-keys.ts';
import {
  remoteCluster,
  type RemoteCluster,
  type RemoteClusterFact,
  remoteClusterFact,
  type RemoteClusterState,
} from '../domain/remote-cluster.ts';
import { idInStream } from '../domain/streams.ts';
import type { Instant } from '../base/time.ts';
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

/** One that was deleted stays, with the tokens that it has used up. */
type Kept = RemoteClusterState & { readonly since?: Instant };

/** Clusters that trust this one, by name. One that cannot be read is not believed to be itself. */
export type RemoteClustersState = Entities<Kept>;

const types = typesOf(remoteClusterFact);

export const remoteClustersView: Projection<RemoteClustersState> = {
  name: 'remote-clusters.1',
  initial: noEntities,
  apply(clusters, event) {
    const name = idInStream(event.stream, 'remote');
    if (name === undefined) return clusters;
    const folding: Folding<Kept, RemoteClusterFact> = {
      evolve: (before, fact) => {
        const since = fact.type === 'remote_cluster.admitted' ? event.cause.at : before?.since;
        const state = remoteCluster.evolve(before ?? remoteCluster.initial, fact);
        return since === undefined ? state : { ...state, since };
      },
      settles: ({ type }) => type === 'remote_cluster.deleted',
    };
    return foldEntity(clusters, name, readFact(remoteClusterFact, types, event), folding);
  },
  encode: storedEntities,
  decode: (stored) => entitiesFrom(stored as StoredEntities<Kept>),
};

/** A cluster that trusts this one. */
export interface NamedRemote {
  readonly clusterName: string;
  readonly remote: RemoteCluster;
  /** When it was admitted last. */
  readonly since: Instant | undefined;
}

/** By name. */
export const remoteClusters = ({ known }: RemoteClustersState): readonly NamedRemote[] =>
  entriesOf(known)
    .flatMap(([clusterName, one]) =>
      one.status === 'admitted' ? [{ clusterName, remote: one, since: one.since }] : [],
    )
    .sort((a, b) => (a.clusterName < b.clusterName ? -1 : 1));

export function findRemote({ known }: RemoteClustersState, clusterName: string): RemoteCluster | undefined {
  const found = getIn(known, clusterName);
  return found?.status === 'admitted' ? found : undefined;
}

/** The keys of the host authority of a cluster that trusts this one: its proxies are known by them. */
export const hostKeysOfRemote = (clusters: RemoteClustersState, clusterName: string): readonly ClusterKey[] =>
  findRemote(clusters, clusterName)?.host.keys ?? [];
