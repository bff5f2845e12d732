import { may } from '../../api/guard.ts';
import type { InputOf, OutputOf } from '../../api/operation.ts';
import { diffAccess as row, longestDiffPage } from '../../api/operations/access.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import { entriesOf } from '../../views/table.ts';
import { positionAt } from '../past/position-at.ts';
import type { AuthDeps } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { changeEventOf, requireEvents } from './change-event.ts';
import { changesOfReach, type Course, type ReachChange } from './changes-of-reach.ts';
import { type ComparedNode, comparedNodes, PeopleCompared } from './compared-access.ts';
import { DecisiveEvents } from './decisive-events.ts';
import { accessIn, accessNow } from './known-access.ts';
import { type Cursor, cursorText, isBehind, nodesBehind, readCursor } from './page-cursor.ts';
import { Pace, workToLookUp } from './pace.ts';
import { loginsChanged, reachOf } from './reach.ts';

type Page = OutputOf<typeof row>;
interface Found {
  readonly username: string;
  readonly node: ComparedNode;
  readonly gained: readonly string[];
  readonly lost: readonly string[];
}

/** @throws CodedError as the row says. */
export const diffAccess = implementing(row, async (deps, call, input) => {
  requireEvents(call);
  const after = input.after === undefined ? undefined : readCursor(input.after);
  const course = await courseOf(deps, call, input);
  const { found, next } = await differences(course, call, { ...input, after });
  const pairs = found.map(({ username, node }) => ({ username, hostId: node.hostId }));
  const changes = await changesOfReach(course, pairs);
  const rows = found.map((one, i) => rowOf(one, changes[i] ?? []));
  return { rows, ...(next !== undefined && { next: cursorText(next) }) };
});

/** Without an end it goes to now: everything that was written counts. */
async function courseOf(
  deps: AuthDeps,
  call: Call,
  { from, to }: Pick<InputOf<typeof row>, 'from' | 'to'>,
): Promise<Course> {
  if (to !== undefined && to <= from)
    throw new CodedError('bad_request', 'the second time is not after the first');
  const after = await positionAt(deps, from);
  const until = to === undefined ? Number.MAX_SAFE_INTEGER : await positionAt(deps, to);
  const { deadline } = call;
  const before = await deps.past.at(after, deadline);
  const asOf = to === undefined ? await deps.views.fresh() : until;
  return {
    ...{ from: before, fromAt: from, deadline },
    to: to === undefined ? accessNow(deps) : await deps.past.at(until, deadline),
    toAt: to ?? deps.world.now(),
    events: new DecisiveEvents(deps.log.state, { after, until, asOf }, call),
  };
}

interface Asked {
  readonly user?: string | undefined;
  readonly node?: string | undefined;
  readonly after: Cursor | undefined;
}

async function differences(
  course: Course,
  call: Call,
  { user, node, after }: Asked,
): Promise<{ readonly found: readonly Found[]; readonly next: Cursor | undefined }> {
  const [before, then] = [accessIn(course.from, course.fromAt), accessIn(course.to, course.toAt)];
  const people = new PeopleCompared(before, then);
  const nodes = await comparedNodes(before, then, node);
  const changed = nodes.filter(({ isChanged }) => isChanged);
  const found: Found[] = [];
  const pace = new Pace();
  for (const username of usersIn(course, user)) {
    if (isBehind(username, after) || !may(call, 'list', { kind: 'access', name: username })) continue;
    const { had, has, isChanged, cost } = people.named(username);
    for (const one of nodesBehind(isChanged ? nodes : changed, username, after)) {
      const { gained, lost } = loginsChanged(reachOf(before, had, one.before), reachOf(then, has, one.after));
      if (gained.length + lost.length > 0) found.push({ username, node: one, gained, lost });
      await pace.add(cost);
      if (found.length >= longestDiffPage || pace.isOver)
        return { found, next: [username, one.nodename, one.hostId] };
    }
    await pace.add(workToLookUp(had) + workToLookUp(has));
    if (pace.isOver) return { found, next: [username] };
  }
  return { found, next: undefined };
}

/** Of either time, sorted. */
function usersIn({ from, to }: Course, user: string | undefined): readonly string[] {
  const all = new Set([from, to].flatMap(({ users }) => entriesOf(users.known).map(([name]) => name)));
  if (user !== undefined && !all.has(user))
    throw new CodedError('not_found', `user ${JSON.stringify(user)} was there at neither time`);
  return user === undefined ? [...all].sort() : [user];
}

function rowOf(
  { username, node, gained, lost }: Found,
  changes: readonly ReachChange[],
): Page['rows'][number] {
  const counted = new Set(
    [
      ...gained.map((login) => changes.findLast((one) => one.gained.includes(login))),
      ...lost.map((login) => changes.findLast((one) => one.lost.includes(login))),
    ].filter((one) => one !== undefined),
  );
  return {
    ...{ user: username, hostId: node.hostId, nodename: node.nodename },
    gained: [...gained],
    lost: [...lost],
    changes: changes
      .filter((one) => counted.has(one))
      .map(({ event, at, ...logins }) => ({
        gained: logins.gained.filter((login) => gained.includes(login)),
        lost: logins.lost.filter((login) => lost.includes(login)),
        at,
        ...(event !== undefined && { by: changeEventOf(event) }),
      })),
  };
}
