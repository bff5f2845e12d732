import { setImmediate as turn } from 'node:timers/promises';
import { may } from '../../api/guard.ts';
import type { InputOf, OutputOf } from '../../api/operation.ts';
import { longestReplayPage, replayAccess as row } from '../../api/operations/access.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import { plusMs } from '../../base/time.ts';
import { isForeignUsername } from '../../domain/foreign-username.ts';
import { auditFact } from '../../domain/audit.ts';
import { explainAccess, type Explanation } from '../../domain/access-explanation.ts';
import { type Entry, entryOf } from '../../domain/replayed-entry.ts';
import { reportedSkewMs } from '../../domain/reported-event.ts';
import type { Position, Recorded } from '../../log/event.ts';
import { findHost } from '../../views/hosts.ts';
import type { AuthDeps } from '../deps.ts';
import { implementing } from '../implementing.ts';
import type { PastStates } from '../past/past-states.ts';
import { requireEvents } from './change-event.ts';
import { personNamed, type RolesByName } from './known-people.ts';
import { rolesIn } from './roles-instead.ts';
import { type Found, statesAt } from './states-at.ts';

/** How many events of the audit one page reads at most, and between two turns of the event loop. */
const mostRead = 50_000;
const readOfTurn = 200;
const eventsOfTurn = 500;

type Input = InputOf<typeof row>;
type Page = OutputOf<typeof row>;

/** @throws CodedError as the row says. */
export const replayAccess = implementing(row, async (deps, call, input) => {
  requireEvents(call);
  const { from, to } = input;
  if (to !== undefined && to <= from) throw new CodedError('bad_request', '--to: must be later than --from');
  const instead = rolesIn(input.roles);
  const gathered = await entriesAfter(deps, call, input);
  const { steps, next = gathered.next } = await statesAt(deps, call, gathered.found);
  const rows: Page['rows'] = [];
  let refusals = 0;
  let sessions = 0;
  let work = 0;
  for await (const { found, states } of steps) {
    if (found.entry.status === 'refused') refusals++;
    else sessions++;
    const changed = rowOf(found.entry, states, instead);
    if (changed !== undefined) rows.push(changed);
    if (++work % readOfTurn === 0) await turn();
  }
  return { rows, sessions, refusals, ...(next !== undefined && { next }) };
});

/** Those of one page, in the order of the audit. An event may be on the log long after it happened. */
async function entriesAfter(
  { log, world }: AuthDeps,
  call: Call,
  { from, to = world.now(), after }: Input,
): Promise<{ readonly found: readonly Found[]; readonly next: Position | undefined }> {
  const begin = after ?? (await log.audit.positionBefore(plusMs(from, -reportedSkewMs)));
  const found: Found[] = [];
  let read = 0;
  for await (const recorded of log.audit.history(begin)) {
    const entry = entryIn(recorded);
    if (
      entry !== undefined &&
      entry.time >= from &&
      entry.time < to &&
      may(call, 'list', { kind: 'access', name: entry.user })
    )
      found.push({ entry, position: recorded.position });
    if (found.length >= longestReplayPage || ++read >= mostRead) return { found, next: recorded.position };
    if (read % eventsOfTurn !== 0) continue;
    await turn();
    if (call.deadline.isOver())
      throw new CodedError('unavailable', 'the audit could not be read in time: try again');
  }
  return { found, next: undefined };
}

function entryIn({ fact }: Recorded): Entry | undefined {
  const read = auditFact.safeParse(fact);
  const entry = read.success ? entryOf(read.data.data.event) : undefined;
  // What people of other clusters have is in their certificates, and not in any state.
  return entry === undefined || isForeignUsername(entry.user) ? undefined : entry;
}

/** Undefined where the roles say what was done. */
function rowOf(entry: Entry, states: PastStates, instead: RolesByName): Page['rows'][number] | undefined {
  const { status, user, login, hostId, nodename, time, sid } = entry;
  const host = hostId === undefined ? undefined : findHost(states.hosts, hostId, 'Node');
  const labels = entry.labels ?? host?.labels ?? {};
  const explained = (by?: RolesByName): Explanation =>
    explainAccess({ person: personNamed(states, user, by), login, labels, locks: [] });
  const { status: now, reasons, near } = explained(instead);
  if ((now === 'allowed') === (status === 'entered')) return undefined;
  return {
    status: status === 'entered' ? 'refused' : 'let_in',
    ...{ time, user, login, nodename },
    ...(hostId !== undefined && { hostId }),
    ...(sid !== undefined && { sid }),
    thenRoles: explained().status,
    why: [...reasons, ...near].map(({ text }) => text),
  };
}
