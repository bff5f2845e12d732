import { z } from 'zod';
import { tokenRole } from '../join-token.ts';
import { documentSchema, expiringMetadata } from './document.ts';
import { type KindOfResource, kindOfResource } from './kind.ts';

/**
 * Its name is the id of the token, never the secret, of which the cluster keeps a hash alone. A file that
 * makes one gives the secret as its name, as in 4.4, or in `spec.token`; it is not shown again.
 */
const spec = z.strictObject({
  roles: z.array(tokenRole).min(1).max(2),
  /** The secret, in files that make a token. */
  token: z.string().max(1024).optional(),
  uses: z.int().positive().optional(),
  names: z.array(z.string().max(253)).max(20).optional(),
  /** Machines that it has admitted; shown, and not taken from a file. */
  joined: z.int().nonnegative().optional(),
  origin: z.enum(['static', 'dynamic']).optional(),
});
const documentWith = <S extends z.ZodType>(of: S) =>
  documentSchema({ kind: 'token', version: 'v2', metadata: expiringMetadata, spec: of });

export const tokenDocument = documentWith(spec);

/** With the hash that the cluster keeps of the secret, so that the secret goes on admitting machines. */
export const wholeTokenDocument = documentWith(
  spec.omit({ token: true }).extend({
    hash: z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in hexadecimal'),
  }),
);
export type WholeTokenDocument = z.infer<typeof wholeTokenDocument>;
export type TokenDocument = z.infer<typeof tokenDocument>;

export const tokenKind: KindOfResource = kindOfResource<TokenDocument>({
  kind: 'token',
  aliases: ['tokens'],
  version: 'v2',
  rules: 'token',
  schema: tokenDocument,
  wholeSchema: wholeTokenDocument,
  columns: [
    ['Token', ({ metadata }) => metadata.name],
    ['Type', ({ spec }) => spec.roles.join(',')],
    ['Expires', ({ metadata }) => metadata.expires ?? 'never'],
  ],
  notProlonged: 'how long a token lasts is decided when it is made: delete it and create another one',
  notRestored: 'the cluster keeps a hash of the secret alone',
});
