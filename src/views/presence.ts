import { type Instant, plusMs, second } from '../base/time.ts';
import type { SystemRole } from '../domain/host-info.ts';
import { presenceFact } from '../domain/presence.ts';
import { readFact } from './read-fact.ts';
import { emptyTable, entriesOf, getIn, setIn, type Table, tableFrom } from './table.ts';
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

/** When each host was last heard of. Folds the partition `presence`. */
export const presenceView: Projection<PresenceState> = {
  name: 'presence.1',
  initial: emptyTable,
  apply(state, event) {
    const fact = readFact(presenceFact, types, event);
    if (!fact) return state;
    let seen = state;
    for (const { hostId, role, seenAt, ttlSeconds } of fact.data.hosts) {
      const key = keyOf(hostId, role);
      // Two auth servers may write out of order: the later sighting holds.
      const known = getIn(seen, key);
      if (known && known.lastSeenAt > seenAt) continue;
      seen = setIn(seen, key, { lastSeenAt: seenAt, until: plusMs(seenAt, ttlSeconds * second) });
    }
    return seen;
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
