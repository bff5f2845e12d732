import { may } from '../../api/guard.ts';
import { listAccess as row, longestAccessPage } from '../../api/operations/access.ts';
import type { InputOf, OutputOf } from '../../api/operation.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import { explainAccess } from '../../domain/access-explanation.ts';
import type { HostInfo } from '../../domain/host-info.ts';
import { lockText } from '../../domain/lock.ts';
import { costOf, loginsOn } from '../../domain/subject-access.ts';
import { lookUpRoles, type RolesState } from '../../views/roles.ts';
import { entriesOf } from '../../views/table.ts';
import { findUser, holdersOf, isUnreadableUser } from '../../views/users.ts';
import { implementing } from '../implementing.ts';
import { accessAt, type KnownAccess } from './known-access.ts';
import { allNodes, locksOnEntering, nodesNamed } from './known-nodes.ts';
import { type KnownPerson, personNamed } from './known-people.ts';
import { cursorText, isBehind, nodesBehind, readCursor } from './page-cursor.ts';

/** How many selectors one page compares at most: some 20 ms. */
const mostWork = 200_000;

type Page = OutputOf<typeof row>;
type Row = Page['rows'][number];

/**
 * @throws CodedError `not_found` for a user, a node or a role that is not there; `bad_request`; as `accessAt`
 */
export const listAccess = implementing(row, async (deps, call, input) => {
  const known = await accessAt(deps, call, input.at);
  const after = input.after === undefined ? undefined : readCursor(input.after);
  const nodes = input.node === undefined ? allNodes(known) : nodesNamed(known, input.node);
  const rows: Row[] = [];
  const without: Page['without'] = [];
  let work = 0;
  for (const username of usersFor(known, call, input)) {
    if (isBehind(username, after)) continue;
    const person = personNamed(known, username);
    work += 1 + person.roleNames.length;
    const unusable = unusableBecause(person);
    if (unusable !== undefined) without.push({ user: username, text: unusable });
    else
      for (const node of nodesBehind(nodes, username, after)) {
        work += costOf(person.access);
        const found = rowOf(known, person, node, input.role);
        if (found !== undefined) rows.push(found);
        if (rows.length >= longestAccessPage || work >= mostWork)
          return { rows, without, next: cursorText([username, node.nodename, node.hostId]) };
      }
    if (work >= mostWork) return { rows, without, next: cursorText([username]) };
  }
  return { rows, without };
});

/** Sorted; those about whom the caller may ask. */
function usersFor(
  { users, roles }: KnownAccess,
  call: Call,
  { user, role }: InputOf<typeof row>,
): readonly string[] {
  if (user !== undefined && findUser(users, user) === undefined && !isUnreadableUser(users, user))
    throw new CodedError('not_found', `user ${JSON.stringify(user)} is not found`);
  if (role !== undefined) requireRole(roles, role);
  const holders = role === undefined ? undefined : new Set(holdersOf(users, role));
  const all = user === undefined ? entriesOf(users.known).map(([name]) => name) : [user];
  return all.filter((name) => (holders?.has(name) ?? true) && may(call, 'list', { kind: 'access', name }));
}

function requireRole(roles: RolesState, role: string): void {
  const found = lookUpRoles(roles, [role]);
  if (found.status === 'missing' && found.unreadable.length === 0)
    throw new CodedError('not_found', `role ${JSON.stringify(role)} is not found`);
}

function rowOf(
  known: KnownAccess,
  person: KnownPerson,
  node: HostInfo,
  role: string | undefined,
): Row | undefined {
  const logins = [...loginsOn(person.access, node.labels)]
    .map(([login, roles]) => ({ login, roles: [...roles] }))
    .filter(({ roles }) => role === undefined || roles.includes(role));
  if (logins.length === 0) return undefined;
  const locks = [
    ...locksOnEntering(known, { person, node }),
    ...logins.flatMap(({ login }) => locksOnEntering(known, { person, login, node })),
  ];
  return {
    user: person.username,
    hostId: node.hostId,
    nodename: node.nodename,
    logins,
    locks: [...new Set(locks.map(lockText))],
  };
}

/** Why nothing is allowed to somebody, whatever the roles say that are there. */
function unusableBecause(person: KnownPerson): string | undefined {
  if (person.status === 'known' && person.missing.length === 0) return undefined;
  const { reasons } = explainAccess({ person, login: person.username, labels: {}, locks: [] });
  return reasons[0]?.text;
}
