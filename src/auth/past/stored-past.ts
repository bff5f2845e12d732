import type { EventLog, MilestoneStates } from '../../log/event-log.ts';
import type { Position } from '../../log/event.ts';
import type { Projection } from '../../views/view.ts';
import { pastAfter, pastProjections, type PastStates } from './past-states.ts';

/** States that the store keeps, all at one position. */
export interface StoredPast {
  readonly position: Position;
  readonly states: PastStates;
}

type Log = Pick<EventLog, 'history' | 'milestone' | 'snapshot'>;

/** The milestone nearest before a position; undefined where this release can read none. */
export async function milestonePast(log: Log, position: Position): Promise<StoredPast | undefined> {
  const stored = await log.milestone(position);
  return stored && levelled(log, (name) => Promise.resolve(stored.find((one) => one.name === name)));
}

/** The newest snapshots, unless they are after a position. */
export async function snapshotPast(log: Log, position: Position): Promise<StoredPast | undefined> {
  const found = await levelled(log, async (name) => {
    const stored = await log.snapshot(name);
    return stored && stored.position <= position ? { name, ...stored } : undefined;
  });
  return found && found.position <= position ? found : undefined;
}

type Stored = MilestoneStates[number];

/** Views are folded each by itself: what is behind is folded up to what is furthest. */
async function levelled(
  log: Log,
  find: (name: string) => Promise<Stored | undefined>,
): Promise<StoredPast | undefined> {
  const [roles, users, hosts, locks, tokens] = [
    await decoded(pastProjections.roles, find),
    await decoded(pastProjections.users, find),
    await decoded(pastProjections.hosts, find),
    await decoded(pastProjections.locks, find),
    await decoded(pastProjections.tokens, find),
  ];
  if (!roles || !users || !hosts || !locks || !tokens) return undefined;
  const folds = { roles, users, hosts, locks, tokens };
  const positions = Object.values(folds).map((one) => one.position);
  const position = Math.max(...positions);
  let states: PastStates = {
    roles: roles.state,
    users: users.state,
    hosts: hosts.state,
    locks: locks.state,
    tokens: tokens.state,
  };
  const first = Math.min(...positions);
  if (first === position) return { position, states };
  for await (const event of log.history(first)) {
    if (event.position > position) break;
    states = pastAfter(states, event, (view) => folds[view].position < event.position);
  }
  return { position, states };
}

/** From the state of the projection's own name, or of one before it. */
async function decoded<S>(
  projection: Projection<S>,
  find: (name: string) => Promise<Stored | undefined>,
): Promise<{ readonly state: S; readonly position: Position } | undefined> {
  const own = await find(projection.name);
  if (own) return { state: projection.decode(own.state), position: own.position };
  for (const one of projection.earlier ?? []) {
    const stored = await find(one.name);
    if (stored) return { state: projection.decode(one.upcast(stored.state)), position: stored.position };
  }
  return undefined;
}
