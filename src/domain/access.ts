import { mayJoinByRule } from './join-session.ts';
import { expandLogin } from './login-template.ts';
import type { AccessOptions } from './role-options.ts';
import type { RoleSpec, Traits } from './role-spec.ts';
import { type RolesIndex, rolesIndex } from './roles-index.ts';

/** What a person has: the roles of the user, looked up, and the traits that fill their templates. */
export interface Subject {
  readonly roles: readonly RoleSpec[];
  readonly traits: Traits;
}

export interface ServerAccess extends Subject {
  /** The unix login that is asked for. */
  readonly login: string;
  readonly labels: Readonly<Record<string, string>>;
}

export type Access =
  | { readonly status: 'allowed'; readonly options: AccessOptions }
  /** `reason` is for the audit log and the operator. */
  | { readonly status: 'denied'; readonly reason: string };

/**
 * Whether a person may enter a server as `login`. Denying wins: over all roles first. Then one single role
 * must allow both the server's labels and the login. Without any role, or with an empty selector, nothing is
 * allowed.
 */
export function checkServerAccess({ roles, traits, login, labels }: ServerAccess): Access {
  const index = rolesIndex(roles);
  const denied = denialBy(index, { roles, traits, login, labels });
  if (denied !== undefined) return { status: 'denied', reason: denied };
  const granting = index.grants(login, traits);
  if (!index.allows(labels).some((at) => granting.has(at)))
    return { status: 'denied', reason: `no role allows the login "${login}" on this server` };
  return { status: 'allowed', options: index.options(granting) };
}

/**
 * Whether a person may connect to a server to join sessions there, and nothing else: where one role allows
 * the server, or some sessions to be joined, and none denies the server. Which, `joinModesOf` decides.
 */
export function checkJoinAccess({ roles, labels }: Pick<ServerAccess, 'roles' | 'labels'>): Access {
  const index = rolesIndex(roles);
  const [denies] = index.denies(labels);
  if (denies !== undefined)
    return {
      status: 'denied',
      reason: `role "${roles[denies]?.name ?? ''}" denies servers with these labels`,
    };
  if (index.allows(labels).length === 0 && !mayJoinByRule(roles))
    return { status: 'denied', reason: 'no role allows this server, nor to join a session' };
  return { status: 'allowed', options: index.options(new Set()) };
}

/** By the first role that denies it. */
function denialBy(index: RolesIndex, { roles, traits, login, labels }: ServerAccess): string | undefined {
  const [byLabels = Infinity] = index.denies(labels);
  const byLogin = Math.min(...index.refuses(login, traits));
  const { name } = roles[Math.min(byLabels, byLogin)] ?? {};
  if (name === undefined) return undefined;
  return byLabels <= byLogin
    ? `role "${name}" denies servers with these labels`
    : `role "${name}" denies the login "${login}"`;
}

/**
 * The unix logins a person may use somewhere, sorted: the principals of a certificate that lives
 * `ttlSeconds`. A role grants none to a certificate that outlives the role's own limit; a login that a role
 * denies is never in it.
 */
export function loginsOf({ roles, traits }: Subject, ttlSeconds = 0): readonly string[] {
  const denied = new Set(
    roles.flatMap((role) => role.deny.logins.flatMap((entry) => expandLogin(entry, traits))),
  );
  const granted = roles
    .filter((role) => ttlSeconds <= role.options.maxSessionTtlSeconds)
    .flatMap((role) => role.allow.logins.flatMap((entry) => expandLogin(entry, traits)));
  return [...new Set(granted)].filter((login) => !denied.has(login)).sort();
}
