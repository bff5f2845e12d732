import { type LabelIndex, labelIndex } from './label-index.ts';
import { type LoginIndex, loginIndex } from './login-index.ts';
import { type AccessOptions, optionsMerger } from './role-options.ts';
import type { RoleSpec } from './role-spec.ts';

/** Which roles of a list allow or deny a server by its labels, or a login: by their indexes in the list. */
export interface RolesIndex {
  readonly allows: LabelIndex;
  readonly denies: LabelIndex;
  readonly grants: LoginIndex;
  readonly refuses: LoginIndex;
  /** What a session may do whose login these grant. */
  readonly options: (granting: ReadonlySet<number>) => AccessOptions;
}

interface Kept {
  readonly roles: readonly RoleSpec[];
  readonly index: RolesIndex;
}

/** Many people have the same roles: the index of a list is kept, of a few lists that begin with one role. */
const mostKept = 8;
const kept = new WeakMap<RoleSpec, readonly Kept[]>();

/** The same for lists of the same objects in the same order. */
export function rolesIndex(roles: readonly RoleSpec[]): RolesIndex {
  const [first] = roles;
  const lists = (first && kept.get(first)) ?? [];
  const known = lists.find((one) => isSame(one.roles, roles));
  if (known) return known.index;
  const index = indexOf(roles);
  if (first) kept.set(first, [{ roles: [...roles], index }, ...lists.slice(0, mostKept - 1)]);
  return index;
}

function indexOf(roles: readonly RoleSpec[]): RolesIndex {
  const [allow, deny] = [roles.map((role) => role.allow), roles.map((role) => role.deny)];
  return {
    allows: labelIndex(
      allow.map(({ nodeLabels }) => nodeLabels),
      'allow',
    ),
    denies: labelIndex(
      deny.map(({ nodeLabels }) => nodeLabels),
      'deny',
    ),
    grants: loginIndex(allow.map(({ logins }) => logins)),
    refuses: loginIndex(deny.map(({ logins }) => logins)),
    options: optionsMerger(roles),
  };
}

const isSame = (one: readonly RoleSpec[], other: readonly RoleSpec[]): boolean =>
  one.length === other.length && one.every((role, i) => role === other[i]);
