import { z } from 'zod';
import { anyKey, foreignRecord } from '../base/foreign-record.ts';
import { CodedError, messageOf } from '../base/errors.ts';
import { labelPattern } from './label-pattern.ts';

/** Names of roles, or patterns of them: `*` for any characters, an expression when it is `^…$`. */
const rolePatterns = z.array(z.string().max(256)).max(200);

const requestConditions = z.strictObject({
  roles: rolePatterns.default([]),
  /** Whoever has the trait `claim` with a value like this may request these. */
  claimsToRoles: z
    .array(z.strictObject({ claim: z.string().max(256), value: z.string().max(1_000), roles: rolePatterns }))
    .max(200)
    .default([]),
  /** For the programs that approve: a request of a holder shows them. */
  annotations: foreignRecord(anyKey, z.array(z.string().max(1_000)).max(100)).default({}),
});
type RequestConditions = z.infer<typeof requestConditions>;

/** Which roles the holders of a role may request. Beside what servers decide by, as the rules are. */
export const roleRequest = z.strictObject({
  allow: requestConditions.prefault({}),
  deny: requestConditions.prefault({}),
});
export type RoleRequest = z.infer<typeof roleRequest>;

export const noRequest: RoleRequest = roleRequest.parse({});

/** In place of what this release cannot read: it might deny. */
export const nothingToRequest: RoleRequest = roleRequest.parse({ deny: { roles: ['*'] } });

/** @throws CodedError `bad_request` that names the place (`allow.request.roles`). */
export function checkRoleRequest({ allow, deny }: RoleRequest): void {
  checkConditions('allow', allow);
  checkConditions('deny', deny);
}

function checkConditions(side: 'allow' | 'deny', conditions: RequestConditions): void {
  const { roles, claimsToRoles, annotations } = conditions;
  for (const pattern of roles) checkPattern(`${side}.request.roles`, pattern);
  for (const [i, { claim, value, roles: given }] of claimsToRoles.entries()) {
    const place = `${side}.request.claims_to_roles[${i}]`;
    if (claim === '') throw bad(place, 'the claim is empty: it names a trait');
    if (given.length === 0) throw bad(place, 'it has no role, so it would never count');
    for (const pattern of [value, ...given]) checkPattern(place, pattern);
  }
  for (const value of Object.values(annotations).flat())
    if (value.includes('{{'))
      throw bad(
        `${side}.request.annotations`,
        'templates in annotations are not in this release: write the value itself',
      );
}

function checkPattern(place: string, pattern: string): void {
  if (pattern === '') throw bad(place, 'an empty text is not a pattern');
  if (/[$]\{?\d/.test(pattern))
    throw bad(
      place,
      `${JSON.stringify(pattern)}: parts of a claim ($1) cannot be put into the name of a role in this release`,
    );
  try {
    labelPattern(pattern);
  } catch (e) {
    throw new CodedError('bad_request', `${place}: ${messageOf(e)}`, { cause: e });
  }
}

const bad = (place: string, why: string): CodedError => new CodedError('bad_request', `${place}: ${why}`);

export const requestAccess = ['optional', 'always', 'reason'] as const;
export type RequestAccess = (typeof requestAccess)[number];
