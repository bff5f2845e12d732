import { role, type RoleFact, roleFact } from '../domain/role.ts';
import type { RoleSpec } from '../domain/role-spec.ts';
import { idInStream } from '../domain/streams.ts';
import {
  type Entities,
  entitiesFrom,
  foldEntity,
  type Folding,
  noEntities,
  storedEntities,
  type StoredEntities,
} from './entities.ts';
import { readFact, typesOf } from './read-fact.ts';
import { entriesOf, getIn } from './table.ts';
import type { Projection } from './view.ts';

export type RolesState = Entities<RoleSpec>;

const types = typesOf(roleFact);

const folding: Folding<RoleSpec, RoleFact> = {
  evolve: (_before, fact) => {
    const state = role.evolve(role.initial, fact);
    return state.status === 'absent' ? undefined : state.role;
  },
  // An update contains the whole specification, but does not end what facts of other types began.
  settles: ({ type }, unread) => type !== 'role.updated' || types.has(unread.type),
};

/** Every role that exists now, by name. */
export const rolesView: Projection<RolesState> = {
  // No `earlier`: releases before left out rules, and then what may be requested.
  name: 'roles.4',
  initial: noEntities,
  apply(roles, event) {
    const name = idInStream(event.stream, 'role');
    if (name === undefined) return roles;
    return foldEntity(roles, name, readFact(roleFact, types, event), folding);
  },
  encode: storedEntities,
  decode: (stored) => entitiesFrom(stored as StoredEntities<RoleSpec>),
};

export type FoundRoles =
  | { readonly status: 'found'; readonly roles: readonly RoleSpec[] }
  /** `names` are all that are missing; `unreadable` those of them that exist, but not for this release. */
  | { readonly status: 'missing'; readonly names: readonly string[]; readonly unreadable: readonly string[] };

/**
 * Looks up the roles a person has. When one is missing, or cannot be read, nothing may be decided with the
 * others: that one might have denied.
 */
export function lookUpRoles({ known, unreadable }: RolesState, names: readonly string[]): FoundRoles {
  const found: RoleSpec[] = [];
  const missing: string[] = [];
  for (const name of names) {
    const spec = getIn(known, name);
    if (spec) found.push(spec);
    else missing.push(name);
  }
  if (missing.length === 0) return { status: 'found', roles: found };
  return {
    status: 'missing',
    names: missing,
    unreadable: missing.filter((name) => getIn(unreadable, name) !== undefined),
  };
}

/** Of all roles that exist and can be read, sorted. */
export const roleNames = ({ known }: RolesState): readonly string[] => entriesOf(known).map(([name]) => name);

/** Why nothing is decided with roles that are missing; undefined where none of them exists. */
export const unreadableRoles = ({
  unreadable,
}: Extract<FoundRoles, { status: 'missing' }>): string | undefined =>
  unreadable.length === 0
    ? undefined
    : `this release cannot read the role ${unreadable.join(', ')}, which a newer one wrote`;
