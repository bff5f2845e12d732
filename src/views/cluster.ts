import { cluster, clusterFact, type ClusterState } from '../domain/cluster.ts';
import { clusterStream } from '../domain/streams.ts';
import { readFact, typesOf } from './read-fact.ts';
import type { Projection } from './view.ts';

const types = typesOf(clusterFact);

/** Name and settings of the cluster. */
export const clusterView: Projection<ClusterState> = {
  name: 'cluster.1',
  initial: cluster.initial,
  apply(state, event) {
    if (event.stream !== clusterStream) return state;
    const fact = readFact(clusterFact, types, event);
    return fact ? cluster.evolve(state, fact) : state;
  },
  encode: (state) => state,
  decode: (stored) => stored as ClusterState,
};
