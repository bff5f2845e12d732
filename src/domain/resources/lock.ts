import { z } from 'zod';
import { isCleanText } from '../../base/clean-text.ts';
import { type LockKind, lockKind, lockLimits } from '../lock.ts';
import { documentSchema, expiringMetadata, moment } from './document.ts';
import { type KindOfResource, kindOfResource } from './kind.ts';

const name = z.string().min(1).max(256).optional();
const target = z
  .strictObject({ user: name, role: name, login: name, node: name, session: name, serial: name })
  .refine((given) => Object.keys(given).length === 1, `needs exactly one of ${lockKind.options.join(', ')}`);

/** Of the releases after 4.4. */
export const lockDocument = documentSchema({
  kind: 'lock',
  version: 'v2',
  metadata: expiringMetadata,
  spec: z.strictObject({
    target,
    message: z
      .string()
      .max(lockLimits.messageLength)
      .refine(isCleanText, 'a line without control and invisible characters')
      .optional(),
    /** Shown, and not taken from a file. */
    created_at: moment.optional(),
    created_by: z.string().optional(),
  }),
});
export type LockDocument = z.infer<typeof lockDocument>;

/** What a document locks, in the words of `lockTargetOf`. */
export function targetOfDocument({ spec }: LockDocument): { readonly kind: LockKind; readonly text: string } {
  const [kind = 'user', text = ''] = Object.entries(spec.target)[0] ?? [];
  return { kind: lockKind.parse(kind), text };
}

export const lockResourceKind: KindOfResource = kindOfResource<LockDocument>({
  kind: 'lock',
  aliases: ['locks'],
  version: 'v2',
  rules: 'lock',
  schema: lockDocument,
  notProlonged: 'how long a lock lasts is decided when it is made: delete it and create another one',
  columns: [
    ['ID', ({ metadata }) => metadata.name],
    ['Target', (document) => Object.entries(document.spec.target).flat().join(': ')],
    ['Message', ({ spec }) => spec.message ?? ''],
    ['Expires', ({ metadata }) => metadata.expires ?? 'never'],
  ],
});
