import { cluster, clusterFact, type ClusterState } from '../domain/cluster.ts';
import { clusterStream } from '../domain/streams.ts';
import { type Unreadable, withUnread } from './entities.ts';
import { readFact, typesOf, type UnreadableFact } from './read-fact.ts';
import type { Projection } from './view.ts';

/** Facts that this release cannot read are beside it; the rest is as if those did not exist, or `absent`. */
export type FoldedCluster = ClusterState & { readonly unreadable?: readonly UnreadableFact[] };

const types = typesOf(clusterFact);

/** Name and settings of the cluster. */
export const clusterView: Projection<FoldedCluster> = {
  name: 'cluster.2',
  initial: cluster.initial,
  apply(state, event) {
    if (event.stream !== clusterStream) return state;
    const reading = readFact(clusterFact, types, event);
    if (reading.status === 'ignored') return state;
    if (reading.status === 'unreadable') return without(state, reading.unread);
    const { unreadable, ...known } = state;
    const left = unreadable?.filter(({ type }) => type !== reading.fact.type) ?? [];
    const after = cluster.evolve(known, reading.fact);
    return left.length === 0 ? after : { ...after, unreadable: left };
  },
  encode: (state) => state,
  decode: (stored) => stored as FoldedCluster,
  earlier: [{ name: 'cluster.1', upcast: (stored) => stored }],
};

/**
 * Only logins depend on the settings of the cluster: nobody logs in here by a second factor that cannot be
 * read.
 */
function without(state: FoldedCluster, unread: UnreadableFact): FoldedCluster {
  const unreadable = withUnread(state.unreadable ?? [], unread);
  return state.status === 'created' && unread.type === 'cluster.configured' && unread.critical.length === 0
    ? { ...state, secondFactor: '', unreadable }
    : { status: 'absent', unreadable };
}

export const unreadableCluster = ({ unreadable = [] }: FoldedCluster): readonly Unreadable[] =>
  unreadable.map((fact) => ({ kind: 'cluster', name: '', ...fact }));
