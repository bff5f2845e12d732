import { labelPattern } from './label-pattern.ts';
import { noRequest, type RequestAccess } from './role-request.ts';
import type { RoleSpec, Traits } from './role-spec.ts';

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
