import { z } from 'zod';
import { instant } from '../base/time.ts';
import { auth, count, row, text, texts } from './audit-fields.ts';
import { auditKind } from './audit-kind.ts';

const changed = { user: text, name: text, updated_by: text };
const failed = { success: z.literal(false), error: text };
const trusted = row({
  ...changed,
  enabled: z.boolean(),
  web_proxy_addr: text,
  tunnel_addr: text,
  /** As the resource has it: `remote -> local, local`. */
  role_map: texts,
});

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
  /** Another cluster is trusted: its people are let in here. `name`: of that cluster. */
  trustedClusterCreate: auditKind('trusted_cluster.create', 'T7000I', auth, trusted),
  trustedClusterDelete: auditKind('trusted_cluster.delete', 'T7001I', auth, row(changed)),
  trustedClusterTokenCreate: auditKind(
    'trusted_cluster_token.create',
    'T7002I',
    auth,
    row({ user: text, updated_by: text, token_id: text, expires: instant }),
  ),
  trustedClusterUpdate: auditKind('trusted_cluster.update', 'T7003I', auth, trusted),
  /** Keys of an authority of that cluster were replaced: `how` is by an announcement, or by an exchange. */
  trustedClusterKeys: auditKind(
    'trusted_cluster.keys',
    'T7004I',
    auth,
    row({ ...changed, type: text, keys: texts, how: text }),
  ),
  /** Another cluster has shown a token, and trusts this one. */
  remoteClusterCreate: auditKind(
    'remote_cluster.create',
    'T7100I',
    auth,
    row({ name: text, token_id: text, 'addr.remote': text, keys: texts }),
  ),
  remoteClusterDelete: auditKind('remote_cluster.delete', 'T7101I', auth, row(changed)),
  remoteClusterKeys: auditKind('remote_cluster.keys', 'T7102I', auth, row({ name: text, keys: texts })),
  /** A cluster was turned away that wants to trust this one. */
  remoteClusterRefused: auditKind(
    'remote_cluster.create',
    'T7100W',
    auth,
    row({ name: text, ...failed, token_id: text.optional(), 'addr.remote': text }),
  ),
  /** What happened until then was deleted from the archive of the audit: its time was over. */
  auditDelete: auditKind('audit.delete', 'TAR000I', auth, row({ user: text, until: instant, archive: text })),
  /** Resources left the cluster with what is secret in them. */
  resourceExport: auditKind('resource.export', 'TRX000W', auth, row({ user: text, kind: text, count })),
};
