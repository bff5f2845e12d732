import { CodedError } from '../../base/errors.ts';
import { isForeignUsername } from '../../domain/foreign-username.ts';
import type { Person } from '../../domain/access-reason.ts';
import type { RoleSpec, Traits } from '../../domain/role-spec.ts';
import { subjectAccess } from '../../domain/subject-access.ts';
import { lookUpRoles, type RolesState } from '../../views/roles.ts';
import { findUser, isUnreadableUser } from '../../views/users.ts';
import type { KnownAccess } from './known-access.ts';

export type RolesByName = ReadonlyMap<string, RoleSpec>;
const asTheyAre: RolesByName = new Map();

export type KnownPerson = Person & { readonly roleNames: readonly string[] };

/** What there is to decide with about a user, with the roles in `instead` as if they had been written. */
export function personNamed(
  { users, roles }: Pick<KnownAccess, 'users' | 'roles'>,
  username: string,
  instead: RolesByName = asTheyAre,
): KnownPerson {
  const found = findUser(users, username)?.state;
  if (found !== undefined)
    return personWith(roles, { username, roles: found.roles, traits: found.traits }, instead);
  const status = isUnreadableUser(users, username) ? 'unreadable' : 'missing';
  return { ...personWith(roles, { username, roles: [], traits: {} }, instead), status };
}

/**
 * What people of another cluster have here is in their certificates: nobody can be asked about them.
 * @throws CodedError `bad_request`
 */
export function requireOfHere(username: string): void {
  if (!isForeignUsername(username)) return;
  throw new CodedError(
    'bad_request',
    `${username} is of another cluster: the roles and logins are those of the certificate, by the role map of that ` +
      'trusted cluster; ask about users of this one',
  );
}

interface Given {
  readonly username: string;
  readonly roles: readonly string[];
  readonly traits: Traits;
}

/** A user who has these roles and traits. */
export function personWith(
  state: RolesState,
  { username, roles: roleNames, traits }: Given,
  instead: RolesByName = asTheyAre,
): KnownPerson {
  const missing: string[] = [];
  const unreadable: string[] = [];
  const roles: RoleSpec[] = [];
  for (const name of roleNames) {
    const other = instead.get(name);
    const found =
      other === undefined ? lookUpRoles(state, [name]) : { status: 'found' as const, roles: [other] };
    if (found.status === 'found') roles.push(...found.roles);
    else {
      missing.push(...found.names);
      unreadable.push(...found.unreadable);
    }
  }
  return {
    ...{ username, status: 'known' as const, traits, roleNames, missing, unreadable },
    access: subjectAccess({ roles, traits }),
  };
}
