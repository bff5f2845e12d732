import { setImmediate as turn } from 'node:timers/promises';
import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import { idInStream } from '../../domain/streams.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Position, Recorded, StreamName } from '../../log/event.ts';
import { findHost } from '../../views/hosts.ts';
import { getIn } from '../../views/table.ts';
import { findUser, isUnreadableUser } from '../../views/users.ts';
import { noPast, pastAfter, type PastStates } from '../past/past-states.ts';

/** The events after `after`, up to `until`. */
export interface Span {
  readonly after: Position;
  readonly until: Position;
  /** The log was read up to here: not again for each stream. */
  readonly asOf: Position;
}

/** How many are read between two turns of the event loop. */
const eventsOfTurn = 500;
/** In one answer. */
const mostEvents = 20_000;

/**
 * Events of streams that changed what decides who may enter what: not a user's logins, nor a host's new
 * version. Each stream is read once, however often it is asked for.
 */
export class DecisiveEvents {
  readonly #log: Pick<EventLog, 'read'>;
  readonly #span: Span;
  readonly #deadline: Call['deadline'];
  readonly #read = new Map<StreamName, readonly Recorded[]>();
  #count = 0;

  constructor(log: Pick<EventLog, 'read'>, span: Span, { deadline }: Pick<Call, 'deadline'>) {
    this.#log = log;
    this.#span = span;
    this.#deadline = deadline;
  }

  /**
   * Of one stream, in order.
   * @throws CodedError `limit_exceeded` when there are too many; `unavailable` when the caller no longer
   *   waits.
   */
  async of(stream: StreamName): Promise<readonly Recorded[]> {
    const known = this.#read.get(stream);
    if (known !== undefined) return known;
    const found: Recorded[] = [];
    let states = noPast;
    let read = 0;
    for await (const event of this.#log.read(stream, 0, this.#span.asOf)) {
      if (event.position > this.#span.until) break;
      if (++read % eventsOfTurn === 0) await turn();
      if (this.#deadline.isOver())
        throw new CodedError('unavailable', `the events of ${stream} could not be read in time`);
      const before = states;
      states = pastAfter(before, event);
      if (event.position <= this.#span.after || decides(before, stream) === decides(states, stream)) continue;
      if (++this.#count > mostEvents)
        throw new CodedError(
          'limit_exceeded',
          `more than ${mostEvents} changes of roles, users and nodes are in that time: ask about a shorter one, one user or one node`,
        );
      found.push(event);
    }
    this.#read.set(stream, found);
    return found;
  }

  /** Of these streams, in the order of the log. */
  async ofAll(streams: Iterable<StreamName>): Promise<readonly Recorded[]> {
    const all: Recorded[] = [];
    for (const stream of new Set(streams)) all.push(...(await this.of(stream)));
    return all.sort((a, b) => a.position - b.position);
  }
}

/** What of one stream's subject decides about access, as a text to compare. */
function decides({ users, roles, hosts, locks }: PastStates, stream: StreamName): string {
  const user = idInStream(stream, 'user');
  if (user !== undefined) {
    const found = findUser(users, user);
    const { roles: has, traits } = found?.state ?? {};
    return JSON.stringify([isUnreadableUser(users, user), found?.life.id, has, traits]);
  }
  const role = idInStream(stream, 'role');
  if (role !== undefined) {
    const { allow, deny } = getIn(roles.known, role) ?? {};
    return JSON.stringify([getIn(roles.unreadable, role) !== undefined, allow, deny]);
  }
  const host = idInStream(stream, 'host');
  if (host !== undefined) {
    const { nodename, otherNames, labels } = findHost(hosts, host, 'Node') ?? {};
    return JSON.stringify([nodename, otherNames, labels]);
  }
  const lock = idInStream(stream, 'lock');
  return lock === undefined ? '' : JSON.stringify(getIn(locks.known, lock) ?? null);
}
