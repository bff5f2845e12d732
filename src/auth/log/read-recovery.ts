import { readRecovery as row } from '../../api/operations/log.ts';
import { reportCluster } from '../../log/recover-cluster.ts';
import { implementing } from '../implementing.ts';

/** What this auth server knows that its store does not contain. Works while everything else is refused. */
export const readRecovery = implementing(row, async ({ log, hostId }) => ({
  hostId,
  partitions: await reportCluster(log),
}));
