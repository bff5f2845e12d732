import { setImmediate as turn } from 'node:timers/promises';
import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import { plusMs, type Instant } from '../../base/time.ts';
import { hostStream, idInStream, lockStream, roleStream, userStream } from '../../domain/streams.ts';
import type { Recorded, StreamName } from '../../log/event.ts';
import { findHost } from '../../views/hosts.ts';
import { findUser } from '../../views/users.ts';
import { pastAfter, type PastStates } from '../past/past-states.ts';
import type { DecisiveEvents } from './decisive-events.ts';
import { accessIn, type AccessStates } from './known-access.ts';
import { locksOnEntering } from './known-nodes.ts';
import { personNamed } from './known-people.ts';
import { loginsChanged, reachOf } from './reach.ts';

/** A person and a node. */
export interface Pair {
  readonly username: string;
  readonly hostId: string;
}

/** One change of the logins with which somebody gets into a node. */
export interface ReachChange {
  /** Undefined: a lock ran out, by then at the latest. */
  readonly event: Recorded | undefined;
  readonly at: Instant;
  readonly gained: readonly string[];
  readonly lost: readonly string[];
}

export interface Course {
  /** What was at the beginning. */
  readonly from: PastStates;
  readonly fromAt: Instant;
  /** What was at the end, by which locks to read about are found. */
  readonly to: AccessStates;
  readonly toAt: Instant;
  readonly events: DecisiveEvents;
  readonly deadline: Call['deadline'];
}

/** How many times a person is compared with a node between two turns of the event loop. */
const workOfTurn = 200;

/**
 * How what these people reach changed from the beginning of a span to its end: for each pair its changes, in
 * order. Only the events about these people, their roles, nodes and locks are read.
 */
export async function changesOfReach(
  course: Course,
  pairs: readonly Pair[],
): Promise<readonly (readonly ReachChange[])[]> {
  const steps = pairs.map((pair) => new Steps(pair, course));
  const ofStream = Map.groupBy(
    steps.flatMap((one) => one.streams.map((stream) => [stream, one] as const)),
    ([stream]) => stream,
  );
  let states = course.from;
  let work = 0;
  for (const event of await course.events.ofAll(await streamsFor(course, pairs))) {
    const before = states;
    states = pastAfter(states, event);
    for (const one of ofStream.get(event.stream)?.map(([, own]) => own) ?? steps) {
      one.pass(event, before, states);
      if (++work % workOfTurn !== 0) continue;
      await turn();
      if (course.deadline.isOver())
        throw new CodedError(
          'unavailable',
          'too much changed in that time for one answer: ask about a shorter one',
        );
    }
  }
  return steps.map((one) => one.end(states, course.toAt));
}

/** One pair on its way through the span. */
class Steps {
  readonly #pair: Pair;
  readonly #changes: ReachChange[] = [];
  #reach: readonly string[];

  constructor(pair: Pair, { from, fromAt }: Course) {
    this.#pair = pair;
    this.#reach = reachThen(pair, from, fromAt);
  }

  /** That are about this pair alone, or others like it; roles and locks may be about any. */
  get streams(): readonly StreamName[] {
    return [userStream(this.#pair.username), hostStream(this.#pair.hostId)];
  }

  /** A lock that ran out meanwhile is a change of its own. */
  pass(event: Recorded, before: PastStates, after: PastStates): void {
    const role = idInStream(event.stream, 'role');
    if (role !== undefined && ![before, after].some((states) => this.#has(role, states))) return;
    const { at } = event.cause;
    this.#add(undefined, at, reachThen(this.#pair, before, at));
    this.#add(event, at, reachThen(this.#pair, after, at));
  }

  #has(role: string, { users }: PastStates): boolean {
    return findUser(users, this.#pair.username)?.state.roles.includes(role) === true;
  }

  end(states: PastStates, at: Instant): readonly ReachChange[] {
    this.#add(undefined, at, reachThen(this.#pair, states, at));
    return this.#changes;
  }

  #add(event: Recorded | undefined, at: Instant, reach: readonly string[]): void {
    const { gained, lost } = loginsChanged(this.#reach, reach);
    this.#reach = reach;
    if (gained.length + lost.length > 0) this.#changes.push({ event, at, gained, lost });
  }
}

function reachThen({ username, hostId }: Pair, states: AccessStates, at: Instant): readonly string[] {
  const known = accessIn(states, at);
  return reachOf(known, personNamed(known, username), findHost(known.hosts, hostId, 'Node'));
}

/** Those of the people, of every role that they had meanwhile, of the nodes, and of locks that matter. */
async function streamsFor(course: Course, pairs: readonly Pair[]): Promise<ReadonlySet<StreamName>> {
  const streams = new Set<StreamName>();
  for (const username of new Set(pairs.map((pair) => pair.username))) {
    const own = userStream(username);
    streams.add(own);
    let states = course.from;
    const addRoles = (): void => {
      for (const role of findUser(states.users, username)?.state.roles ?? []) streams.add(roleStream(role));
    };
    addRoles();
    for (const event of await course.events.of(own)) {
      states = pastAfter(states, event);
      addRoles();
    }
  }
  for (const pair of pairs) {
    streams.add(hostStream(pair.hostId));
    for (const id of [
      ...locksAbout(pair, course.from, course.fromAt),
      ...locksAbout(pair, course.to, course.toAt),
    ])
      streams.add(lockStream(id));
  }
  return streams;
}

/** Also those that ran out right then: they were in force a little before. */
function locksAbout({ username, hostId }: Pair, states: AccessStates, at: Instant): readonly string[] {
  const known = accessIn(states, plusMs(at, -1));
  if (known.locks.byTarget.size === 0) return [];
  const person = personNamed(known, username);
  const node = findHost(known.hosts, hostId, 'Node');
  const about = { person, ...(node !== undefined && { node }) };
  const logins = new Set(person.access.roles.flatMap(({ allowed }) => [...allowed]));
  return [
    ...locksOnEntering(known, about),
    ...[...logins].flatMap((login) => locksOnEntering(known, { ...about, login })),
  ].map(({ id }) => id);
}
