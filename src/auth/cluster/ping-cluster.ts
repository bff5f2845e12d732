import { pingCluster as row } from '../../api/operations/cluster.ts';
import { version } from '../../base/version.ts';
import { implementing } from '../implementing.ts';
import { clusterOf } from '../lookups.ts';

export const pingCluster = implementing(row, ({ views }) =>
  Promise.resolve({ clusterName: clusterOf(views).clusterName, serverVersion: version }),
);
