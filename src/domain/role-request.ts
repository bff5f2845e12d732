import { z } from 'zod';
import { anyKey, foreignRecord } from '../base/foreign-record.ts';
import { CodedError, messageOf } from '../base/errors.ts';
import { labelPattern } from './label-pattern.ts';
import type { RoleSpec, Traits } from './role-spec.ts';

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
  if (pattern === '') throw bad(place, 'an empty text is no pattern');
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

/** A person with the roles that they have without any request, looked up. */
export interface Requester {
  readonly roles: readonly RoleSpec[];
  readonly traits: Traits;
}

/**
 * Whether a person may request a role, by what their own roles say: denying wins, then one must allow it.
 * Without a role nothing may be requested.
 */
export const mayRequest = (requester: Requester, role: string): boolean =>
  !names(requester, 'deny', role) && names(requester, 'allow', role);

function names({ roles, traits }: Requester, side: 'allow' | 'deny', role: string): boolean {
  // Another release may have written what this one cannot match: that does not allow, and does deny.
  const otherwise = side === 'deny';
  const matches = (pattern: string, text: string): boolean => matchesOr(pattern, text, otherwise);
  return roles.some(({ request = noRequest }) => {
    const { roles: direct, claimsToRoles } = request[side];
    const byClaims = claimsToRoles.filter(({ claim, value }) =>
      valuesOf(traits, claim).some((held) => matches(value, held)),
    );
    return [...direct, ...byClaims.flatMap((one) => one.roles)].some((pattern) => matches(pattern, role));
  });
}

const valuesOf = (traits: Traits, name: string): readonly string[] =>
  Object.hasOwn(traits, name) ? (traits[name] ?? []) : [];

function matchesOr(pattern: string, text: string, otherwise: boolean): boolean {
  try {
    return labelPattern(pattern)(text);
  } catch {
    return otherwise;
  }
}

export type Annotations = Readonly<Record<string, readonly string[]>>;

/** What the roles of a person add to their requests. Source: reference 4.4, `system_annotations`. */
export function annotationsOf({ roles }: Pick<Requester, 'roles'>): Record<string, string[]> {
  const denied = new Set(pairsOf(roles, 'deny').map(([key, value]) => JSON.stringify([key, value])));
  const added = new Map<string, string[]>();
  for (const [key, value] of pairsOf(roles, 'allow')) {
    if (denied.has(JSON.stringify([key, value]))) continue;
    const values = added.get(key) ?? [];
    if (!values.includes(value)) added.set(key, [...values, value]);
  }
  return Object.fromEntries(added);
}

const pairsOf = (roles: readonly RoleSpec[], side: 'allow' | 'deny'): (readonly [string, string])[] =>
  roles.flatMap(({ request = noRequest }) =>
    Object.entries(request[side].annotations).flatMap(([key, values]) =>
      values.map((value) => [key, value] as const),
    ),
  );

export const requestAccess = ['optional', 'always', 'reason'] as const;
export type RequestAccess = (typeof requestAccess)[number];

/** Whether `tsh login` requests roles by itself, and what a person is asked for, over all their roles. */
export function requestStrategy(roles: readonly RoleSpec[]): {
  readonly access: RequestAccess;
  readonly prompt: string;
} {
  const wishes = roles.map(({ options }) => options.requestAccess ?? 'optional');
  const access = wishes.includes('reason') ? 'reason' : wishes.includes('always') ? 'always' : 'optional';
  const prompts = roles.flatMap(({ options }) => options.requestPrompt ?? []);
  return { access, prompt: prompts.find((one) => one !== '') ?? '' };
}
