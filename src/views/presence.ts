import { hour, type Instant, minute, plusMs, second } from '../base/time.ts';
import type { SystemRole } from '../domain/host-info.ts';
import { presenceFact } from '../domain/presence.ts';
import { readFact } from './read-fact.ts';
import {
  emptyTable,
  entriesOf,
  getIn,
  reduceValues,
  setIn,
  sweepIn,
  type Table,
  tableFrom,
} from './table.ts';
import type { Projection } from './view.ts';

export interface Seen {
  readonly lastSeenAt: Instant;
  /** Alive before this moment. */
  readonly until: Instant;
}

/** By `<hostId>/<role>`. */
export type PresenceState = Table<Seen>;

const types: ReadonlySet<string> = new Set(['hosts.renewed']);
const keyOf = (hostId: string, role: SystemRole): string => `${hostId}/${role}`;

/** A host that has been gone for so long is forgotten: machines come and go, and the table is what is kept of all. */
const rememberedMs = 24 * hour;

/** When each host was last heard of. Folds the partition `presence`. */
export const presenceView: Projection<PresenceState> = {
  name: 'presence.1',
  initial: emptyTable,
  // A host that is alive says so every minute, and five are kept at least. One that is gone is then one never seen.
  saidAgainWithinMs: minute,
  apply(state, event) {
    const fact = readFact(presenceFact, types, event);
    if (!fact) return state;
    let seen = state;
    let now = '';
    for (const { hostId, role, seenAt, ttlSeconds } of fact.data.hosts) {
      if (seenAt > now) now = seenAt;
      const key = keyOf(hostId, role);
      // Two auth servers may write out of order: the later sighting holds.
      const known = getIn(seen, key);
      if (known && known.lastSeenAt > seenAt) continue;
      seen = setIn(seen, key, { lastSeenAt: seenAt, until: plusMs(seenAt, ttlSeconds * second) });
    }
    // By the moments on the log, a few entries with each fact: the same in whoever folds it.
    const oldest = plusMs(now, -rememberedMs);
    return sweepIn(seen, event.position, ({ until }) => until > oldest);
  },
  encode: entriesOf,
  decode: (stored) => tableFrom(stored as [string, Seen][]),
};

export type Presence =
  { readonly status: 'alive' | 'gone'; readonly lastSeenAt: Instant } | { readonly status: 'never_seen' };

/** Whether the host is alive at `now`. */
export function presenceOf(
  state: PresenceState,
  { hostId, role }: { readonly hostId: string; readonly role: SystemRole },
  now: Instant,
): Presence {
  const seen = getIn(state, keyOf(hostId, role));
  if (!seen) return { status: 'never_seen' };
  return { status: now < seen.until ? 'alive' : 'gone', lastSeenAt: seen.lastSeenAt };
}

/** Until when the host counts as alive if it is not heard of again; undefined when it does not at `now`. */
export function aliveUntil(
  state: PresenceState,
  { hostId, role }: { readonly hostId: string; readonly role: SystemRole },
  now: Instant,
): Instant | undefined {
  const until = getIn(state, keyOf(hostId, role))?.until;
  return until !== undefined && now < until ? until : undefined;
}

/** The moment of the newest sighting of any host; empty when there was none. */
export const newestSighting = (state: PresenceState): Instant =>
  reduceValues<Seen, Instant>(state, '', (latest, { lastSeenAt }) =>
    lastSeenAt > latest ? lastSeenAt : latest,
  );
