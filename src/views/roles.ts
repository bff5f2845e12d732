import { role, roleFact } from '../domain/role.ts';
import type { RoleSpec } from '../domain/role-spec.ts';
import { idInStream } from '../domain/streams.ts';
import { readFact, typesOf } from './read-fact.ts';
import { emptyTable, entriesOf, getIn, removeIn, setIn, type Table, tableFrom } from './table.ts';
import type { Projection } from './view.ts';

export type RolesState = Table<RoleSpec>;

const types = typesOf(roleFact);

/** Every role that exists now, by name. */
export const rolesView: Projection<RolesState> = {
  name: 'roles.1',
  initial: emptyTable,
  apply(roles, event) {
    const name = idInStream(event.stream, 'role');
    if (name === undefined) return roles;
    const fact = readFact(roleFact, types, event);
    if (!fact) return roles;
    const state = role.evolve(role.initial, fact);
    return state.status === 'absent' ? removeIn(roles, name) : setIn(roles, name, state.role);
  },
  encode: entriesOf,
  decode: (stored) => tableFrom(stored as [string, RoleSpec][]),
};

export type FoundRoles =
  | { readonly status: 'found'; readonly roles: readonly RoleSpec[] }
  | { readonly status: 'missing'; readonly names: readonly string[] };

/**
 * Looks up the roles a person has. When one is missing nothing may be decided with the others: the missing one might
 * have denied.
 */
export function lookUpRoles(state: RolesState, names: readonly string[]): FoundRoles {
  const found: RoleSpec[] = [];
  const missing: string[] = [];
  for (const name of names) {
    const spec = getIn(state, name);
    if (spec) found.push(spec);
    else missing.push(name);
  }
  return missing.length > 0 ? { status: 'missing', names: missing } : { status: 'found', roles: found };
}
