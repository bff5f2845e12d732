import { z } from 'zod';
import { documentSchema, moment } from './document.ts';
import { type KindOfResource, kindOfResource } from './kind.ts';

/** Source: reference 4.4, resources §1; what is in `spec` is ours. */
export const remoteClusterDocument = documentSchema({
  kind: 'remote_cluster',
  version: 'v3',
  spec: z.strictObject({
    /** When it was admitted last. */
    since: moment.optional(),
    /** SHA256 fingerprints of the keys of its host authority. */
    fingerprints: z.array(z.string()),
  }),
}).extend({
  status: z.strictObject({
    connection: z.enum(['online', 'offline']),
    last_heartbeat: moment.optional(),
  }),
});
export type RemoteClusterDocument = z.infer<typeof remoteClusterDocument>;

const notWritten =
  'that cluster comes with a token of this one ("tctl tokens add --type=trusted_cluster") and leaves its keys';

export const remoteClusterKind: KindOfResource = kindOfResource<RemoteClusterDocument>({
  kind: 'remote_cluster',
  aliases: ['remote_clusters', 'rc', 'rcs'],
  version: 'v3',
  // One right for both directions.
  rules: 'trusted_cluster',
  schema: remoteClusterDocument,
  columns: [
    ['Name', ({ metadata }) => metadata.name],
    ['Status', ({ status }) => status.connection],
    ['Last Heartbeat', ({ status }) => status.last_heartbeat ?? 'never'],
  ],
  notWritten,
  notProlonged: 'it stays until it is deleted',
  notBootstrapped: notWritten,
});
