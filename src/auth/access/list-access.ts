import { setImmediate as turn } from 'node:timers/promises';
import { may } from '../../api/guard.ts';
import { listAccess as row, longestAccessPage } from '../../api/operations/access.ts';
import type { InputOf, OutputOf } from '../../api/operation.ts';
import { z } from 'zod';
import { CodedError } from '../../base/errors.ts';
import { explainAccess } from '../../domain/access-explanation.ts';
import type { LockInForce } from '../../domain/access-reason.ts';
import type { HostInfo } from '../../domain/host-info.ts';
import { lockText } from '../../domain/lock.ts';
import { costOf, loginsOn } from '../../domain/subject-access.ts';
import { lookUpRoles } from '../../views/roles.ts';
import { keysAfter } from '../../views/table.ts';
import { findUser, isUnreadableUser, type UsersState } from '../../views/users.ts';
import type { AuthDeps } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { locksOnEntering, nodeNow, nodesByName, nodesNamed } from './known-nodes.ts';
import { personNamed } from './known-people.ts';

/** Microseconds, roughly: of one page, and between two turns of the event loop. */
const mostWork = 150_000;
const workOfTurn = 3_000;
/** To look up a person and that person's roles. */
const workOfPerson = 20;
const workOfRole = 1;
/** To write a row, and each role's name in it, in the answer. */
const workOfRow = 10;
const workOfName = 1;
/** What is written in the answer is written in one turn: a page has so much of it. */
const mostWriting = 15_000;
/** A page is about at most so many people. */
const mostPeople = 500;

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
  const page = new PageOfAccess(deps, input, after);
  const users = usersFor(deps, input, after);
  for (const username of users) {
    if (!may(call, 'list', { kind: 'access', name: username })) continue;
    const ended = await page.add(username);
    if (ended !== undefined) return page.answer(ended);
  }
  const last = users.length < mostPeople ? undefined : users.at(-1);
  return page.answer(last === undefined ? undefined : [last]);
});

/** One page while it is filled; other callers have their turns meanwhile. */
class PageOfAccess {
  readonly #deps: AuthDeps;
  readonly #role: string | undefined;
  readonly #nodes: readonly HostInfo[];
  readonly #after: Cursor | undefined;
  readonly #rows: Row[] = [];
  readonly #without: Page['without'] = [];
  #work = 0;
  #writing = 0;
  #worked = 0;

  constructor(deps: AuthDeps, { node, role }: InputOf<typeof row>, after: Cursor | undefined) {
    this.#deps = deps;
    this.#role = role;
    this.#nodes = node === undefined ? nodesByName(deps.views) : nodesNamed(deps.views, node);
    this.#after = after;
  }

  /** @returns where the page is full; undefined while it is not. */
  async add(username: string): Promise<Cursor | undefined> {
    const person = personNamed(this.#deps.views, username);
    await this.#did(workOfPerson + workOfRole * person.roleNames.length);
    if (this.#role !== undefined && !person.roleNames.includes(this.#role)) return this.#full([username]);
    const unusable = unusableBecause(person);
    if (unusable !== undefined) {
      this.#without.push({ user: username, text: unusable });
      this.#writing += workOfRow;
      return this.#full([username]);
    }
    const cost = costOf(person.access);
    const deps = this.#deps;
    const asked = { deps, person, role: this.#role, locks: locksOnEntering(deps, { person }) };
    for (const node of nodesBehind(this.#nodes, username, this.#after)) {
      const found = rowOf(asked, nodeNow(deps.views, node));
      if (found !== undefined) this.#rows.push(found);
      const writing = found === undefined ? 0 : writingOf(found);
      this.#writing += writing;
      await this.#did(cost + writing);
      const full = this.#full([username, node.nodename, node.hostId]);
      if (full !== undefined) return full;
    }
    return this.#full([username]);
  }

  answer(next: Cursor | undefined): Page {
    return {
      rows: this.#rows,
      without: this.#without,
      ...(next !== undefined && { next: JSON.stringify(next) }),
    };
  }

  #full(at: Cursor): Cursor | undefined {
    const { length } = this.#rows;
    const isFull = length >= longestAccessPage || this.#writing >= mostWriting || this.#work >= mostWork;
    return isFull ? at : undefined;
  }

  async #did(work: number): Promise<void> {
    this.#work += work;
    this.#worked += work;
    if (this.#worked < workOfTurn) return;
    this.#worked = 0;
    await turn();
  }
}

const writingOf = ({ logins, locks }: Row): number =>
  workOfRow +
  workOfName * logins.reduce((sum, { roles }) => sum + 1 + roles.length, 0) +
  workOfRow * locks.length;

/** Sorted: at most `mostPeople` of those behind the page before. */
function usersFor(
  { views }: AuthDeps,
  { user, role }: InputOf<typeof row>,
  after: Cursor | undefined,
): readonly string[] {
  const users = views.users.state();
  if (role !== undefined) requireRole(views, role);
  if (user !== undefined) {
    requireUser(users, user);
    return isLeft(user, after) ? [user] : [];
  }
  const [behind = ''] = after ?? [];
  const names = keysAfter(users.known, behind, mostPeople);
  const isWithin = after?.length === 3 && findUser(users, behind) !== undefined;
  return isWithin ? [behind, ...names].slice(0, mostPeople) : names;
}

/** Where a page ended behind a node, the next goes on with that user. */
function isLeft(user: string, after: Cursor | undefined): boolean {
  if (after === undefined) return true;
  return user > after[0] || (after.length === 3 && user === after[0]);
}

function requireUser(users: UsersState, user: string): void {
  if (findUser(users, user) === undefined && !isUnreadableUser(users, user))
    throw new CodedError('not_found', `user ${JSON.stringify(user)} is not found`);
}

function requireRole({ roles }: AuthDeps['views'], role: string): void {
  const found = lookUpRoles(roles.state(), [role]);
  if (found.status === 'missing' && found.unreadable.length === 0)
    throw new CodedError('not_found', `role ${JSON.stringify(role)} is not found`);
}

interface Asked {
  readonly deps: AuthDeps;
  readonly person: KnownPerson;
  /** About the person and the person's roles, whatever the node. */
  readonly locks: readonly LockInForce[];
  readonly role: string | undefined;
}

function rowOf({ deps, person, locks: own, role }: Asked, node: HostInfo): Row | undefined {
  const logins = [...loginsOn(person.access, node.labels)]
    .map(([login, roles]) => ({ login, roles: [...roles] }))
    .filter(({ roles }) => role === undefined || roles.includes(role));
  if (logins.length === 0) return undefined;
  const locks = [
    ...own,
    ...locksOnEntering(deps, { node }),
    ...logins.flatMap(({ login }) => locksOnEntering(deps, { login })),
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

function readCursor(text: string): Cursor {
  try {
    return cursor.parse(JSON.parse(text));
  } catch (e) {
    throw new CodedError('bad_request', 'after: not the end of a page, as its "next" has it', { cause: e });
  }
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
