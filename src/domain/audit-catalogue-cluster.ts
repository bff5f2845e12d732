import { z } from 'zod';
import { auth, count, row, text } from './audit-fields.ts';
import { auditKind } from './audit-kind.ts';

/** The audit events of a cluster as a whole: a part of `audit-catalogue.ts`, which has the rules for all. */
export const clusterEvents = {
  clusterCreate: auditKind(
    'cluster.create',
    'TCL000I',
    auth,
    row({ user: text, name: text, cluster_id: text, second_factor: text }),
  ),
  /** An empty store was filled from a file of resources. `counts`: how many of each kind. */
  clusterRestore: auditKind(
    'cluster.restore',
    'TCL001I',
    auth,
    row({ user: text, digest: text, counts: z.record(text, count).readonly() }),
  ),
  /** Resources left the cluster with what is secret in them. */
  resourceExport: auditKind('resource.export', 'TRX000W', auth, row({ user: text, kind: text, count })),
};
