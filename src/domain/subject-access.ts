import type { Subject } from './access.ts';
import { type Labels, type LabelSelector, labelSelector } from './label-selector.ts';
import { expandLogin } from './login-template.ts';
import type { RoleSpec, Traits } from './role-spec.ts';

/** One role, made ready for one person. */
export interface RoleAccess {
  readonly spec: RoleSpec;
  readonly allowed: ReadonlySet<string>;
  readonly denied: ReadonlySet<string>;
  readonly allowsLabels: LabelSelector | undefined;
  readonly deniesLabels: LabelSelector | undefined;
}

/**
 * What a person has, made ready to be asked about many servers and logins: templates are expanded and
 * patterns compiled once.
 */
export interface SubjectAccess {
  readonly roles: readonly RoleAccess[];
  /** Those that deny servers by labels. */
  readonly denying: readonly RoleAccess[];
  /** Those that allow a login somewhere. */
  readonly allowing: readonly RoleAccess[];
  /** By login: the first role that denies it. */
  readonly refusing: ReadonlyMap<string, RoleAccess>;
}

export function subjectAccess({ roles, traits }: Subject): SubjectAccess {
  const all = roles.map((spec) => roleAccess(spec, traits));
  const allowing = all.filter(({ allowed, allowsLabels }) => allowed.size > 0 && allowsLabels !== undefined);
  const refusing = new Map<string, RoleAccess>();
  for (const role of all)
    for (const login of role.denied) if (!refusing.has(login)) refusing.set(login, role);
  return {
    roles: all,
    allowing,
    denying: all.filter(({ deniesLabels }) => deniesLabels !== undefined),
    refusing,
  };
}

/**
 * The logins that a person has on a server, sorted, each with the roles that allow it: no others would be
 * allowed by `checkServerAccess`.
 */
export function loginsOn(access: SubjectAccess, labels: Labels): ReadonlyMap<string, readonly string[]> {
  const logins = new Map<string, string[]>();
  if (deniedBy(access, labels) !== undefined) return logins;
  for (const { spec, allowed, allowsLabels } of access.allowing) {
    if (allowsLabels?.(labels) !== true) continue;
    for (const login of allowed) {
      if (access.refusing.has(login)) continue;
      const known = logins.get(login);
      if (known) known.push(spec.name);
      else logins.set(login, [spec.name]);
    }
  }
  return new Map([...logins].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** How many selectors a question about one server asks at most: the unit in which work is bounded. */
export const costOf = ({ denying, allowing }: SubjectAccess): number => 1 + denying.length + allowing.length;

const deniedBy = ({ denying }: SubjectAccess, labels: Labels): RoleAccess | undefined =>
  denying.find((role) => role.deniesLabels?.(labels) === true);

type Selectors = Pick<RoleAccess, 'allowsLabels' | 'deniesLabels'>;

/** Roles are asked for each of their holders: what does not depend on these is compiled once. */
const selectors = new WeakMap<RoleSpec, Selectors>();

function selectorsOf(spec: RoleSpec): Selectors {
  const known = selectors.get(spec);
  if (known) return known;
  const compiled = {
    allowsLabels: labelSelector(spec.allow.nodeLabels, 'allow'),
    deniesLabels: labelSelector(spec.deny.nodeLabels, 'deny'),
  };
  selectors.set(spec, compiled);
  return compiled;
}

const roleAccess = (spec: RoleSpec, traits: Traits): RoleAccess => ({
  spec,
  ...selectorsOf(spec),
  allowed: new Set(spec.allow.logins.flatMap((entry) => expandLogin(entry, traits))),
  denied: new Set(spec.deny.logins.flatMap((entry) => expandLogin(entry, traits))),
});
