import type { EventLog, Followable } from '../../log/event-log.ts';
import type { Position } from '../../log/event.ts';
import { storedState } from '../../views/stored-state.ts';
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
export const snapshotPast = (log: Log, position: Position): Promise<StoredPast | undefined> =>
  levelled(log, async (name) => {
    const stored = await log.snapshot(name);
    return stored && stored.position <= position ? stored : undefined;
  });

/** Views are folded each by itself: what is behind is folded up to what is furthest. */
async function levelled(log: Log, snapshot: Followable['snapshot']): Promise<StoredPast | undefined> {
  const [roles, users, hosts, locks, tokens] = [
    await storedState(pastProjections.roles, { snapshot }, -1),
    await storedState(pastProjections.users, { snapshot }, -1),
    await storedState(pastProjections.hosts, { snapshot }, -1),
    await storedState(pastProjections.locks, { snapshot }, -1),
    await storedState(pastProjections.tokens, { snapshot }, -1),
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
