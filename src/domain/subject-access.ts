import type { Subject } from './access.ts';
import type { Labels } from './label-selector.ts';
import { expandLogin } from './login-template.ts';
import type { RoleSpec } from './role-spec.ts';
import { type RolesIndex, rolesIndex } from './roles-index.ts';

/** One role, made ready for one person. */
export interface RoleAccess {
  readonly spec: RoleSpec;
  readonly allowed: ReadonlySet<string>;
  readonly denied: ReadonlySet<string>;
  /** Those that it allows and that no role denies. */
  readonly granted: readonly string[];
}

/** What a person has, made ready to be asked about many servers: templates are expanded once. */
export interface SubjectAccess {
  readonly roles: readonly RoleAccess[];
  readonly index: RolesIndex;
}

export function subjectAccess({ roles, traits }: Subject): SubjectAccess {
  const expanded = (entries: readonly string[]): ReadonlySet<string> =>
    new Set(entries.flatMap((entry) => expandLogin(entry, traits)));
  const all = roles.map((spec) => ({
    spec,
    allowed: expanded(spec.allow.logins),
    denied: expanded(spec.deny.logins),
  }));
  const refused = new Set(all.flatMap(({ denied }) => [...denied]));
  return {
    roles: all.map((one) => ({ ...one, granted: [...one.allowed].filter((login) => !refused.has(login)) })),
    index: rolesIndex(roles),
  };
}

/**
 * The logins that a person has on a server, sorted, each with the roles that allow it: no others would be
 * allowed by `checkServerAccess`.
 */
export function loginsOn(access: SubjectAccess, labels: Labels): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { spec, granted } of rolesGranting(access, labels))
    for (const login of granted) {
      const known = found.get(login);
      if (known) known.push(spec.name);
      else found.set(login, [spec.name]);
    }
  return found.size > 1 ? new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1))) : found;
}

/** Whether a person may enter the server with at least one login: only such servers are listed. */
export const canSeeServer = (access: SubjectAccess, labels: Labels): boolean =>
  rolesGranting(access, labels).some(({ granted }) => granted.length > 0);

const rolesGranting = (access: SubjectAccess, labels: Labels): readonly RoleAccess[] =>
  access.index.denies(labels).length > 0 ? [] : rolesAllowing(access, labels);

/**
 * What a question about one server costs, in microseconds, roughly: the unit in which work is bounded. What
 * is found comes on top, and what no server before had as a label.
 */
export const costOf = ({ roles }: SubjectAccess): number => 3 + roles.length / 50;

/** The roles whose labels allow a server, whatever the login. */
export const rolesAllowing = ({ roles, index }: SubjectAccess, labels: Labels): readonly RoleAccess[] =>
  at(roles, index.allows(labels));

/** The roles that deny a server by its labels. */
export const rolesDenying = ({ roles, index }: SubjectAccess, labels: Labels): readonly RoleAccess[] =>
  at(roles, index.denies(labels));

const at = (roles: readonly RoleAccess[], indexes: readonly number[]): readonly RoleAccess[] =>
  indexes.flatMap((index) => roles[index] ?? []);
