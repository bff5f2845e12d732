import { may } from '../../api/guard.ts';
import { listAccess as row, longestAccessPage } from '../../api/operations/access.ts';
import type { InputOf, OutputOf } from '../../api/operation.ts';
import { CodedError } from '../../base/errors.ts';
import { explainAccess } from '../../domain/access-explanation.ts';
import type { LockInForce } from '../../domain/access-reason.ts';
import type { HostInfo } from '../../domain/host-info.ts';
import { lockText } from '../../domain/lock.ts';
import { costOf, loginsOn } from '../../domain/subject-access.ts';
import { lookUpRoles, type RolesState } from '../../views/roles.ts';
import { keysAfter } from '../../views/table.ts';
import { findUser, isUnreadableUser, type UsersState } from '../../views/users.ts';
import { implementing } from '../implementing.ts';
import { accessAt, type KnownAccess } from './known-access.ts';
import { locksOnEntering, nodesByName, nodesNamed, nodeThen } from './known-nodes.ts';
import { type KnownPerson, personNamed, requireOfHere } from './known-people.ts';
import { type Cursor, cursorText, isBehind, nodesBehind, readCursor } from './page-cursor.ts';
import { Pace, workToLookUp } from './pace.ts';
import { hasAll } from './reach.ts';

/** As in `Pace`: to write a row, and each role's name in it, in the answer. */
const workOfRow = 10;
const workOfName = 1;
/** What is written in the answer is written in one turn: a page has so much of it. */
const mostWriting = 15_000;
/** A page is about at most so many people. */
const mostPeople = 500;

type Page = OutputOf<typeof row>;
type Row = Page['rows'][number];

/**
 * @throws CodedError `not_found` for a user, a node or a role that is not there; `bad_request`; as `accessAt`
 */
export const listAccess = implementing(row, async (deps, call, input) => {
  const known = await accessAt(deps, call, input.at);
  const after = input.after === undefined ? undefined : readCursor(input.after);
  const page = new PageOfAccess(known, input, after);
  const users = usersFor(known, input, after);
  for (const username of users) {
    if (!may(call, 'list', { kind: 'access', name: username })) continue;
    const ended = await page.add(username);
    if (ended !== undefined) return page.answer(ended);
  }
  const last = users.length < mostPeople ? undefined : users.at(-1);
  return page.answer(last === undefined ? undefined : [last]);
});

/** One page while it is filled. */
class PageOfAccess {
  readonly #known: KnownAccess;
  readonly #role: string | undefined;
  readonly #nodes: readonly HostInfo[];
  readonly #after: Cursor | undefined;
  readonly #rows: Row[] = [];
  readonly #without: Page['without'] = [];
  readonly #pace = new Pace();
  #writing = 0;

  constructor(known: KnownAccess, { node, role }: InputOf<typeof row>, after: Cursor | undefined) {
    this.#known = known;
    this.#role = role;
    this.#nodes = node === undefined ? nodesByName(known) : nodesNamed(known, node);
    this.#after = after;
  }

  /** @returns where the page is full; undefined while it is not. */
  async add(username: string): Promise<Cursor | undefined> {
    const person = personNamed(this.#known, username);
    await this.#pace.add(workToLookUp(person));
    if (this.#role !== undefined && !person.roleNames.includes(this.#role)) return this.#full([username]);
    const unusable = unusableBecause(person);
    if (unusable !== undefined) {
      this.#without.push({ user: username, text: unusable });
      this.#writing += workOfRow;
      return this.#full([username]);
    }
    const cost = costOf(person.access);
    const known = this.#known;
    const asked = { known, person, role: this.#role, locks: locksOnEntering(known, { person }) };
    for (const node of nodesBehind(this.#nodes, username, this.#after)) {
      const found = rowOf(asked, nodeThen(known, node));
      if (found !== undefined) this.#rows.push(found);
      const writing = found === undefined ? 0 : writingOf(found);
      this.#writing += writing;
      await this.#pace.add(cost + writing);
      const full = this.#full([username, node.nodename, node.hostId]);
      if (full !== undefined) return full;
    }
    return this.#full([username]);
  }

  answer(next: Cursor | undefined): Page {
    return {
      rows: this.#rows,
      without: this.#without,
      ...(next !== undefined && { next: cursorText(next) }),
    };
  }

  #full(at: Cursor): Cursor | undefined {
    const { length } = this.#rows;
    const isFull = length >= longestAccessPage || this.#writing >= mostWriting || this.#pace.isOver;
    return isFull ? at : undefined;
  }
}

const writingOf = ({ logins, locks }: Row): number =>
  workOfRow +
  workOfName * logins.reduce((sum, { roles }) => sum + 1 + roles.length, 0) +
  workOfRow * locks.length;

/** Sorted: at most `mostPeople` of those behind the page before. */
function usersFor(
  { users, roles }: KnownAccess,
  { user, role }: InputOf<typeof row>,
  after: Cursor | undefined,
): readonly string[] {
  if (role !== undefined) requireRole(roles, role);
  if (user !== undefined) {
    requireOfHere(user);
    requireUser(users, user);
    return isBehind(user, after) ? [] : [user];
  }
  const [behind = ''] = after ?? [];
  const names = keysAfter(users.known, behind, mostPeople);
  const isWithin = after?.length === 3 && findUser(users, behind) !== undefined;
  return isWithin ? [behind, ...names].slice(0, mostPeople) : names;
}

function requireUser(users: UsersState, user: string): void {
  if (findUser(users, user) === undefined && !isUnreadableUser(users, user))
    throw new CodedError('not_found', `user ${JSON.stringify(user)} is not found`);
}

function requireRole(roles: RolesState, role: string): void {
  const found = lookUpRoles(roles, [role]);
  if (found.status === 'missing' && found.unreadable.length === 0)
    throw new CodedError('not_found', `role ${JSON.stringify(role)} is not found`);
}

interface Asked {
  readonly known: KnownAccess;
  readonly person: KnownPerson;
  /** About the person and the person's roles, whatever the node. */
  readonly locks: readonly LockInForce[];
  readonly role: string | undefined;
}

function rowOf({ known, person, locks: own, role }: Asked, node: HostInfo): Row | undefined {
  const logins = [...loginsOn(person.access, node.labels)]
    .map(([login, roles]) => ({ login, roles: [...roles] }))
    .filter(({ roles }) => role === undefined || roles.includes(role));
  if (logins.length === 0) return undefined;
  const locks = [
    ...own,
    ...locksOnEntering(known, { node }),
    ...logins.flatMap(({ login }) => locksOnEntering(known, { login })),
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
  if (hasAll(person)) return undefined;
  const { reasons } = explainAccess({ person, login: person.username, labels: {}, locks: [] });
  return reasons[0]?.text;
}
