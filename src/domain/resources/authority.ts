import { z } from 'zod';
import { signedAnnouncement } from '../authority-facts.ts';
import { rotationPhases } from '../rotation.ts';
import { base64, documentSchema, moment } from './document.ts';
import { type KindOfResource, kindOfResource } from './kind.ts';

/** Its public halves alone: `tctl auth export --keys` exports the private ones. */
const spec = z.strictObject({
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
});
const documentWith = <S extends z.ZodType>(of: S) =>
  documentSchema({ kind: 'cert_authority', version: 'v2', spec: of }).extend({
    sub_kind: z.enum(['user', 'host']),
  });

export const authorityDocument = documentWith(spec);
export type AuthorityDocument = z.infer<typeof authorityDocument>;

/** With its private key: PKCS #8, PEM, base64. There is one key while no rotation is under way. */
export const wholeAuthorityDocument = documentWith(
  spec.extend({
    checking_keys: z.array(base64).length(1),
    signing_keys: z.array(base64).length(1),
    tls_key_pairs: z.array(z.strictObject({ cert: base64, key: base64 })).length(1),
    rotation: z.strictObject({
      state: z.literal('standby'),
      phase: z.literal('standby'),
      last_rotated: moment.optional(),
      last_id: z.string().max(128).optional(),
    }),
    key: z.strictObject({ id: z.string().min(1).max(128), since: moment }),
    /** Of its keys, by which hosts that were away learn of a rotation. */
    announcements: z.int().nonnegative().optional(),
    announcement: signedAnnouncement.optional(),
  }),
);
export type WholeAuthorityDocument = z.infer<typeof wholeAuthorityDocument>;

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
  wholeSchema: wholeAuthorityDocument,
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
