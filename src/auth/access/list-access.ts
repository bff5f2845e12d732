import { may } from '../../api/guard.ts';
import { listAccess as row, longestAccessPage } from '../../api/operations/access.ts';
import type { InputOf, OutputOf } from '../../api/operation.ts';
import type { Call } from '../../api/server-deps.ts';
import { z } from 'zod';
import { CodedError } from '../../base/errors.ts';
import { explainAccess } from '../../domain/access-explanation.ts';
import type { HostInfo } from '../../domain/host-info.ts';
import { lockText } from '../../domain/lock.ts';
import { costOf, loginsOn } from '../../domain/subject-access.ts';
import { lookUpRoles } from '../../views/roles.ts';
import { entriesOf } from '../../views/table.ts';
import { findUser, holdersOf, isUnreadableUser } from '../../views/users.ts';
import type { AuthDeps } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { allNodes, locksOnEntering, nodesNamed } from './known-nodes.ts';
import { personNamed } from './known-people.ts';

/** How many selectors one page compares at most: some 20 ms. */
const mostWork = 200_000;

/** Where a page ended: behind a user, or behind a node of one. */
const cursor = z.union([z.tuple([z.string()]), z.tuple([z.string(), z.string(), z.string()])]);
type Cursor = z.infer<typeof cursor>;

type Page = OutputOf<typeof row>;
type Row = Page['rows'][number];
type KnownPerson = ReturnType<typeof personNamed>;

/** @throws CodedError `not_found` for a user, a node or a role that is not there; `bad_request` */
export const listAccess = implementing(row, async (deps, call, input) => {
  await deps.views.fresh();
  const after = input.after === undefined ? undefined : readCursor(input.after);
  const nodes = input.node === undefined ? allNodes(deps.views) : nodesNamed(deps.views, input.node);
  const rows: Row[] = [];
  const without: Page['without'] = [];
  let work = 0;
  for (const username of usersFor(deps, call, input)) {
    if (isBehind(username, after)) continue;
    const person = personNamed(deps.views, username);
    work += 1 + person.roleNames.length;
    const unusable = unusableBecause(person);
    if (unusable !== undefined) without.push({ user: username, text: unusable });
    else
      for (const node of nodesBehind(nodes, username, after)) {
        work += costOf(person.access);
        const found = rowOf(deps, person, node, input.role);
        if (found !== undefined) rows.push(found);
        if (rows.length >= longestAccessPage || work >= mostWork)
          return { rows, without, next: textOf([username, node.nodename, node.hostId]) };
      }
    if (work >= mostWork) return { rows, without, next: textOf([username]) };
  }
  return { rows, without };
});

/** Sorted; those about whom the caller may ask. */
function usersFor({ views }: AuthDeps, call: Call, { user, role }: InputOf<typeof row>): readonly string[] {
  const users = views.users.state();
  if (user !== undefined && findUser(users, user) === undefined && !isUnreadableUser(users, user))
    throw new CodedError('not_found', `user ${JSON.stringify(user)} is not found`);
  if (role !== undefined) requireRole(views, role);
  const holders = role === undefined ? undefined : new Set(holdersOf(users, role));
  const all = user === undefined ? entriesOf(users.known).map(([name]) => name) : [user];
  return all.filter((name) => (holders?.has(name) ?? true) && may(call, 'list', { kind: 'access', name }));
}

function requireRole({ roles }: AuthDeps['views'], role: string): void {
  const found = lookUpRoles(roles.state(), [role]);
  if (found.status === 'missing' && found.unreadable.length === 0)
    throw new CodedError('not_found', `role ${JSON.stringify(role)} is not found`);
}

function rowOf(
  deps: AuthDeps,
  person: KnownPerson,
  node: HostInfo,
  role: string | undefined,
): Row | undefined {
  const logins = [...loginsOn(person.access, node.labels)]
    .map(([login, roles]) => ({ login, roles: [...roles] }))
    .filter(({ roles }) => role === undefined || roles.includes(role));
  if (logins.length === 0) return undefined;
  const locks = [
    ...locksOnEntering(deps, { person, node }),
    ...logins.flatMap(({ login }) => locksOnEntering(deps, { person, login, node })),
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

const textOf = (at: Cursor): string => JSON.stringify(at);

function readCursor(text: string): Cursor {
  try {
    return cursor.parse(JSON.parse(text));
  } catch (e) {
    throw new CodedError('bad_request', 'after: not the end of a page, as its "next" has it', { cause: e });
  }
}

/** Whether all of a user was on pages before. */
function isBehind(username: string, after: Cursor | undefined): boolean {
  if (after === undefined) return false;
  return username < after[0] || (username === after[0] && after.length === 1);
}

function nodesBehind(
  nodes: readonly HostInfo[],
  username: string,
  after: Cursor | undefined,
): readonly HostInfo[] {
  if (after?.length !== 3 || after[0] !== username) return nodes;
  const [, nodename, hostId] = after;
  const from = nodes.findIndex(
    (node) => node.nodename > nodename || (node.nodename === nodename && node.hostId > hostId),
  );
  return from < 0 ? [] : nodes.slice(from);
}
