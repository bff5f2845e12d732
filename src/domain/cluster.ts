import { z } from 'zod';
import { CodedError, unreachable } from '../base/errors.ts';
import type { Decider } from '../log/decider.ts';
import { isClusterName } from './names.ts';
import { writerReads } from './writer-reads.ts';

export const secondFactor = z.enum(['off', 'otp']);
export type SecondFactor = z.infer<typeof secondFactor>;

export const clusterFact = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('cluster.created'),
    data: z.object({ clusterName: z.string(), clusterId: z.uuid(), secondFactor: z.string() }),
  }),
  z.object({ type: z.literal('cluster.configured'), data: z.object({ secondFactor: z.string() }) }),
]);
export type ClusterFact = z.infer<typeof clusterFact>;

export interface OpenCluster {
  readonly type: 'open-cluster';
  readonly clusterName: string;
  /** Used only when the cluster is new. */
  readonly clusterId: string;
  readonly secondFactor: SecondFactor;
}
export type ClusterCommand = OpenCluster;

export type ClusterState =
  | { readonly status: 'absent' }
  | {
      readonly status: 'created';
      readonly clusterName: string;
      readonly clusterId: string;
      /**
       * A `SecondFactor`, or a newer release's name for another: only a release that knows it may let anybody
       * in by it.
       */
      readonly secondFactor: string;
    };

/** The cluster itself: its name, which never changes, and its settings from the configuration. */
export const cluster: Decider<ClusterState, ClusterCommand, ClusterFact> = {
  fact: writerReads(clusterFact),
  initial: { status: 'absent' },

  decide(state, { clusterName, clusterId, secondFactor }) {
    if (state.status === 'absent') {
      if (!isClusterName(clusterName))
        throw new CodedError(
          'misconfigured',
          `${JSON.stringify(clusterName)} cannot be a cluster name: letters, digits, dots and dashes only`,
        );
      return [{ type: 'cluster.created', data: { clusterName, clusterId, secondFactor } }];
    }
    if (state.clusterName !== clusterName)
      throw new CodedError(
        'misconfigured',
        `cluster_name is ${JSON.stringify(clusterName)}, but the stored data belongs to cluster ` +
          `${JSON.stringify(state.clusterName)}: a cluster cannot be renamed; set cluster_name back or use a new data_dir`,
      );
    return state.secondFactor === secondFactor
      ? []
      : [{ type: 'cluster.configured', data: { secondFactor } }];
  },

  evolve(state, fact) {
    switch (fact.type) {
      case 'cluster.created':
        return { status: 'created', ...fact.data };
      case 'cluster.configured':
        return state.status === 'created' ? { ...state, secondFactor: fact.data.secondFactor } : state;
      default:
        return unreachable(fact);
    }
  },
};
