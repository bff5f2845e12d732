import { z } from 'zod';
import { anyKey, foreignRecord } from '../../base/foreign-record.ts';
import type { Instant } from '../../base/time.ts';
import { checkName } from '../names.ts';
import { base64, documentSchema, moment } from './document.ts';
import { type KindOfResource, kindOfResource } from './kind.ts';
import { messageOf } from '../../base/errors.ts';

/** What the cluster knows of a user beside what an operator gave: shown, and not taken from a file. */
const status = z.strictObject({
  is_locked: z.boolean(),
  locked_message: z.string().optional(),
  lock_expires: moment.optional(),
});
const createdBy = z.strictObject({ time: moment, user: z.strictObject({ name: z.string() }).optional() });

const spec = z.strictObject({
  roles: z.array(z.string().min(1).max(128)).min(1).max(100),
  traits: foreignRecord(anyKey, z.array(z.string()).nullable()).nullish(),
  status: status.optional(),
  created_by: createdBy.optional(),
});

const documentWith = <S extends z.ZodType>(of: S) =>
  documentSchema({ kind: 'user', version: 'v2', spec: of }).superRefine((document, context) => {
    try {
      checkName('user', (document as { metadata: { name: string } }).metadata.name);
    } catch (e) {
      context.addIssue({ code: 'custom', path: ['metadata', 'name'], message: messageOf(e) });
    }
  });

export const userDocument = documentWith(spec);
export type UserDocument = z.infer<typeof userDocument>;

const id = z.string().min(1).max(128);
const base32 = z
  .string()
  .max(256)
  .regex(/^[A-Z2-7]+$/, 'expected base32');

/**
 * With what the user logs in by. `password_hash` and `totp_key` are those of 4.4; the rest keeps the user the
 * same one: certificates name its life, and a code that was used is not used again.
 */
export const wholeUserDocument = documentWith(
  spec.extend({
    local_auth: z
      .strictObject({
        password_hash: base64.optional(),
        password_id: id.optional(),
        totp_key: base32.optional(),
        totp_id: id.optional(),
        totp_last_step: z.int().nonnegative().optional(),
      })
      .optional(),
    life: z.strictObject({ id, is_first: z.boolean() }).optional(),
  }),
);
export type WholeUserDocument = z.infer<typeof wholeUserDocument>;

export interface DescribedUser {
  readonly username: string;
  readonly roles: readonly string[];
  readonly traits: Readonly<Record<string, string[]>>;
}

/** What a document gives a user. A trait without values is none. */
export const userOfDocument = ({ metadata, spec }: UserDocument): DescribedUser => ({
  username: metadata.name,
  roles: [...new Set(spec.roles)],
  traits: Object.fromEntries(
    Object.entries(spec.traits ?? {}).flatMap(([name, values]) =>
      values === null || values.length === 0 ? [] : [[name, values]],
    ),
  ),
});

export interface KnownUser extends DescribedUser {
  readonly createdAt: Instant;
  /** Of failed logins. */
  readonly lock?: { readonly until: Instant; readonly reason: string } | undefined;
}

export const documentOfUser = ({ username, roles, traits, createdAt, lock }: KnownUser): UserDocument => ({
  kind: 'user',
  version: 'v2',
  metadata: { name: username },
  spec: {
    roles: [...roles],
    traits: { ...traits },
    status:
      lock === undefined
        ? { is_locked: false }
        : { is_locked: true, locked_message: lock.reason, lock_expires: lock.until },
    created_by: { time: createdAt },
  },
});

export const userKind: KindOfResource = kindOfResource<UserDocument>({
  kind: 'user',
  aliases: ['users'],
  version: 'v2',
  rules: 'user',
  schema: userDocument,
  wholeSchema: wholeUserDocument,
  columns: [
    ['User', ({ metadata }) => metadata.name],
    ['Roles', ({ spec }) => spec.roles.join(',')],
    ['Logins', ({ spec }) => spec.traits?.['logins']?.join(',') ?? ''],
  ],
});
