import { expandLogin } from './login-template.ts';
import { matchesLabels } from './match-labels.ts';
import { type AccessOptions, mergeOptions } from './role-options.ts';
import type { RoleSpec, Traits } from './role-spec.ts';

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
  for (const role of roles) {
    if (matchesLabels(role.deny.nodeLabels, labels, 'deny'))
      return { status: 'denied', reason: `role "${role.name}" denies servers with these labels` };
    if (expandAll(role.deny.logins, traits).has(login))
      return { status: 'denied', reason: `role "${role.name}" denies the login "${login}"` };
  }
  const grants = (role: RoleSpec): boolean => expandAll(role.allow.logins, traits).has(login);
  const granted = roles.some((role) => grants(role) && matchesLabels(role.allow.nodeLabels, labels, 'allow'));
  if (!granted) return { status: 'denied', reason: `no role allows the login "${login}" on this server` };
  return { status: 'allowed', options: mergeOptions(roles, roles.filter(grants)) };
}

/**
 * The unix logins a person may use somewhere, sorted: the principals of a certificate that lives
 * `ttlSeconds`. A role grants none to a certificate that outlives the role's own limit; a login that a role
 * denies is never in it.
 */
export function loginsOf({ roles, traits }: Subject, ttlSeconds = 0): readonly string[] {
  const denied = new Set(roles.flatMap((role) => [...expandAll(role.deny.logins, traits)]));
  const granted = roles
    .filter((role) => ttlSeconds <= role.options.maxSessionTtlSeconds)
    .flatMap((role) => [...expandAll(role.allow.logins, traits)]);
  return [...new Set(granted)].filter((login) => !denied.has(login)).sort();
}

/** Whether a person may enter the server with at least one login: only such servers are listed. */
export const canSeeServer = (subject: Subject, labels: Readonly<Record<string, string>>): boolean =>
  loginsOf(subject).some((login) => checkServerAccess({ ...subject, login, labels }).status === 'allowed');

const expandAll = (entries: readonly string[], traits: Traits): ReadonlySet<string> =>
  new Set(entries.flatMap((entry) => expandLogin(entry, traits)));
