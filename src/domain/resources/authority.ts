import { z } from 'zod';
import { rotationPhases } from '../rotation.ts';
import { documentSchema, moment } from './document.ts';
import { type KindOfResource, kindOfResource } from './kind.ts';

/** Its public halves alone: `tctl auth export --keys` exports the private ones. */
export const authorityDocument = documentSchema({
  kind: 'cert_authority',
  version: 'v2',
  spec: z.strictObject({
    type: z.enum(['user', 'host']),
    cluster_name: z.string(),
    /** base64 of OpenSSH lines, as in 4.4. The key that signs is the first. */
    checking_keys: z.array(z.string()),
    tls_key_pairs: z.array(z.strictObject({ cert: z.string() })),
    /** SHA256 fingerprints of the SSH keys, in that order. */
    fingerprints: z.array(z.string()),
    rotation: z.strictObject({
      state: z.enum(['standby', 'in_progress']),
      phase: z.enum(rotationPhases),
      mode: z.enum(['manual', 'auto']).optional(),
      current_id: z.string().optional(),
      started: moment.optional(),
      grace_period: z.string().optional(),
      last_rotated: moment.optional(),
    }),
  }),
}).extend({ sub_kind: z.enum(['user', 'host']) });
export type AuthorityDocument = z.infer<typeof authorityDocument>;

/** Both authorities have the name of the cluster: `user`, `host`, or with the name behind a slash. */
export function namesAuthority(name: string, { sub_kind: type, metadata }: AuthorityDocument): boolean {
  return name === type || name === `${type}/${metadata.name}`;
}

export const authorityKind: KindOfResource = kindOfResource<AuthorityDocument>({
  kind: 'cert_authority',
  aliases: ['cert_authorities', 'cas', 'ca'],
  version: 'v2',
  rules: 'cert_authority',
  schema: authorityDocument,
  columns: [
    ['Cluster Name', ({ metadata }) => metadata.name],
    ['CA Type', ({ spec }) => spec.type],
    ['Fingerprint', ({ spec }) => spec.fingerprints[0] ?? ''],
    // Of other clusters that are trusted: there are none.
    ['Role Map', () => 'N/A'],
  ],
  notWritten: 'the cluster makes its authorities; "tctl auth rotate" replaces their keys',
  notDeleted: 'the cluster cannot be without them; "tctl auth rotate" replaces their keys',
});
