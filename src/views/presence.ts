import { hour, type Instant, minute, msBetween, plusMs, second } from '../base/time.ts';
import type { HostInfo, SystemRole } from '../domain/host-info.ts';
import type { LiveSessions } from '../domain/live-sessions.ts';
import { type Labels, labelsNow } from '../domain/measured-labels.ts';
import { presenceFact } from '../domain/presence.ts';
import type { Adopted } from '../domain/rotation-mark.ts';
import { readFact } from './read-fact.ts';
import type { ReaderClock } from './reader-clock.ts';
import { emptyTable, entriesOf, getIn, setIn, sweepIn, type Table, tableFrom } from './table.ts';
import type { Projection } from './view.ts';

export interface Seen {
  /**
   * By the clock of the auth server that heard from it. For people, and for a reader that begins with a
   * snapshot.
   */
  readonly lastSeenAt: Instant;
  readonly ttlMs: number;
  /** When this reader learned of it, by its own `ReaderClock.monotonic`. */
  readonly heardMs: number;
  /** Of measured labels; undefined where it has none, or an auth server of the previous release stored it. */
  readonly labels?: Labels;
  /** Undefined before the first rotation, and for a host whose release reports none. */
  readonly adopted?: Adopted;
  /** It has announced that it stops. */
  readonly leaving?: true;
  /** Why it cannot renew its certificates, in its own words. */
  readonly trouble?: string;
  /** Host ids of the proxies that it hangs on. */
  readonly proxies?: readonly string[];
  /** Clusters that hang on it. */
  readonly leaves?: readonly string[];
  /** Clusters that hung on it before, with its last report of them, by the clock of `lastSeenAt`. */
  readonly leavesBefore?: Readonly<Record<string, Instant>>;
  /** Those that ran on it when it told of them last; undefined before it did. */
  readonly sessions?: LiveSessions;
}

/** By `<hostId>/<role>`. */
export interface PresenceState extends Table<Seen> {
  /** When this reader last heard of any host; 0 when it never did. */
  readonly newestHeardMs: number;
}
export const nobodySeen: PresenceState = { ...emptyTable, newestHeardMs: 0 };

const types: ReadonlySet<string> = new Set(['hosts.renewed']);
const keyOf = (hostId: string, role: SystemRole): string => `${hostId}/${role}`;
/** What is known about the projection before there is a reader. */
export const presenceSnapshots = {
  name: 'presence.1',
  // A host that is alive reports every minute, and at least five minutes are kept. So a host that is gone
  // looks as if it had never been seen.
  saidAgainWithinMs: minute,
};

/**
 * A host that has been gone for this long is forgotten: machines come and go, and the table would keep them
 * all.
 */
const rememberedMs = 24 * hour;
/**
 * No host is forgotten before this reader has followed for this long: every live host has reported by then.
 */
const settledMs = hour;

type Reported = Pick<
  Seen,
  'labels' | 'adopted' | 'leaving' | 'trouble' | 'proxies' | 'leaves' | 'leavesBefore' | 'sessions'
>;

/** In the form of a snapshot, as earlier releases also wrote it. */
type StoredSeen = readonly [
  key: string,
  seen: { readonly lastSeenAt: Instant; readonly until: Instant } & Reported,
];

/**
 * When each host was last heard of. Folds the partition `presence`.
 *
 * Auth servers record when they heard from a host, each by its own clock, and any of these may be wrong. So
 * the order of the log decides which renewal is the last, and each reader measures how old that is, from when
 * it learned of it, by a monotonic clock.
 *
 * Older renewals come from a snapshot, with moments by other clocks. The reader computes their age at the
 * earlier of two moments: now by its own clock, and the newest in the snapshot. So one wrong clock among
 * them, or the reader's own, makes no host look older than it is; while all auth servers were away no host
 * was heard from, and none ages. At worst a dead host counts as alive for its usual time from then on.
 */
export function presenceViewBy({ monotonic, now }: ReaderClock): Projection<PresenceState> {
  let followsSince = monotonic();
  return {
    ...presenceSnapshots,
    initial: nobodySeen,
    apply(state, event) {
      const reading = readFact(presenceFact, types, event);
      // A host whose renewal cannot be read counts as gone after its time.
      if (reading.status !== 'read') return state;
      const { fact } = reading;
      const heardMs = monotonic();
      let seen: Table<Seen> = state;
      for (const { hostId, role, seenAt, ttlSeconds, ...said } of fact.data.hosts) {
        const key = keyOf(hostId, role);
        const before = getIn(seen, key);
        seen = setIn(seen, key, {
          ...{ lastSeenAt: seenAt, ttlMs: ttlSeconds * second, heardMs },
          ...reported({
            ...said,
            leavesBefore: leavesBefore(before, said.leaves),
            sessions: said.sessions ?? before?.sessions,
          }),
        });
      }
      const isRemembered = (one: Seen): boolean => heardMs - one.heardMs <= one.ttlMs + rememberedMs;
      // A few entries with each fact.
      if (heardMs - followsSince >= settledMs) seen = sweepIn(seen, event.position, isRemembered);
      if (seen === state) return state;
      return { ...seen, newestHeardMs: fact.data.hosts.length > 0 ? heardMs : state.newestHeardMs };
    },
    encode: (state) =>
      entriesOf(state).map(([key, { lastSeenAt, ttlMs, ...said }]): StoredSeen => [
        key,
        { lastSeenAt, until: plusMs(lastSeenAt, ttlMs), ...reported(said) },
      ]),
    decode: (stored) => {
      followsSince = monotonic();
      return presenceFrom(stored as StoredSeen[], followsSince, now());
    },
  };
}

function presenceFrom(stored: readonly StoredSeen[], monotonicMs: number, now: Instant): PresenceState {
  const newest = stored.reduce(
    (latest, [, { lastSeenAt }]) => (lastSeenAt > latest ? lastSeenAt : latest),
    '',
  );
  const reference = newest < now ? newest : now;
  let newestHeardMs: number | undefined;
  const table = tableFrom(
    stored.map(([key, { lastSeenAt, until, ...said }]) => {
      const ageMs = Math.max(0, msBetween(lastSeenAt, reference));
      const seen = { lastSeenAt, ttlMs: msBetween(lastSeenAt, until), heardMs: monotonicMs - ageMs };
      newestHeardMs = Math.max(newestHeardMs ?? seen.heardMs, seen.heardMs);
      return [key, { ...seen, ...reported(said) }] as const;
    }),
  );
  return { ...table, newestHeardMs: newestHeardMs ?? 0 };
}

const reported = ({
  labels,
  adopted,
  leaving,
  trouble,
  proxies,
  leaves,
  leavesBefore: before,
  sessions,
}: {
  readonly labels?: Labels | undefined;
  readonly adopted?: Adopted | undefined;
  readonly leaving?: true | undefined;
  readonly trouble?: string | undefined;
  readonly proxies?: readonly string[] | undefined;
  readonly leaves?: readonly string[] | undefined;
  readonly leavesBefore?: Readonly<Record<string, Instant>> | undefined;
  readonly sessions?: LiveSessions | undefined;
}): Reported => ({
  ...(labels !== undefined && { labels }),
  ...(adopted !== undefined && { adopted }),
  ...(leaving !== undefined && { leaving }),
  ...(trouble !== undefined && { trouble }),
  ...(proxies !== undefined && { proxies }),
  ...(leaves !== undefined && { leaves }),
  ...(before !== undefined && { leavesBefore: before }),
  ...(sessions !== undefined && { sessions }),
});

/** This many clusters that have gone are remembered of a proxy. */
const mostGone = 256;

/** The longest gone are forgotten first. Undefined when there is none. */
function leavesBefore(seen: Seen | undefined, now: readonly string[] = []): Seen['leavesBefore'] {
  if (seen?.leaves === undefined && seen?.leavesBefore === undefined) return undefined;
  const { leaves = [], leavesBefore: before = {}, lastSeenAt } = seen;
  const all = { ...before, ...Object.fromEntries(leaves.map((name) => [name, lastSeenAt])) };
  const gone = Object.entries(all).filter(([name]) => !now.includes(name));
  const kept = gone.toSorted(([, a], [, b]) => (a < b ? 1 : -1)).slice(0, mostGone);
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

export type Presence =
  { readonly status: 'alive' | 'gone'; readonly lastSeenAt: Instant } | { readonly status: 'never_seen' };

interface HostRole {
  readonly hostId: string;
  readonly role: SystemRole;
}

/** Whether the host is alive at `atMs` of the clock by which this table was folded. */
export function presenceOf(state: PresenceState, host: HostRole, atMs: number): Presence {
  const seen = seenOf(state, host);
  if (!seen) return { status: 'never_seen' };
  return { status: atMs - seen.heardMs < seen.ttlMs ? 'alive' : 'gone', lastSeenAt: seen.lastSeenAt };
}

/**
 * Until when the host counts as alive if it does not report again, by the reader's own clock; undefined when
 * it does not count as alive now.
 */
export function aliveUntil(
  state: PresenceState,
  host: HostRole,
  { monotonic, now }: ReaderClock,
): Instant | undefined {
  const seen = seenOf(state, host);
  const leftMs = seen === undefined ? 0 : seen.heardMs + seen.ttlMs - monotonic();
  return leftMs > 0 ? plusMs(now(), Math.ceil(leftMs)) : undefined;
}

export const seenOf = (state: PresenceState, { hostId, role }: HostRole): Seen | undefined =>
  getIn(state, keyOf(hostId, role));

/**
 * The host with its labels, and the proxies that it hangs on, as they are now. Everything that decides by
 * labels of other hosts, or shows them, uses this: membership alone has old values of the measured ones.
 */
export function hostNow(state: PresenceState, host: HostInfo): HostInfo {
  const hangs = host.reachability.status === 'tunnel';
  if (host.measured === undefined && !hangs) return host;
  const { labels, proxies } = seenOf(state, host) ?? {};
  const now =
    labels === undefined || host.measured === undefined ? host : { ...host, labels: labelsNow(host, labels) };
  return hangs && proxies !== undefined ? { ...now, reachability: { status: 'tunnel', proxies } } : now;
}
