import { pause } from '../../base/backoff.ts';
import { isCoded, messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { second } from '../../base/time.ts';
import { startTicker, stopTimer } from '../../base/timers.ts';
import type { World } from '../../base/world.ts';
import type { SystemRole } from '../../domain/host-info.ts';
import type { LiveSessions } from '../../domain/live-sessions.ts';
import type { Labels } from '../../domain/measured-labels.ts';
import { appendsOf, presence, type PresenceFact, type Renewal } from '../../domain/presence.ts';
import { type Adopted, adoptedField } from '../../domain/rotation-mark.ts';
import { presenceStream } from '../../domain/streams.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Position, Revision } from '../../log/event.ts';
import { ownCause } from '../own-cause.ts';

/** What a host reports with its heartbeat, besides being alive. */
export interface Reported {
  /** Measured labels; undefined where it has none. */
  readonly labels?: Labels | undefined;
  readonly adopted?: Adopted | undefined;
  readonly leaving?: true | undefined;
  /** Why it cannot renew its certificates. */
  readonly trouble?: string | undefined;
  /** Host ids of the proxies that it hangs on. */
  readonly proxies?: readonly string[] | undefined;
  /** The clusters that hang on it, by name. */
  readonly leaves?: readonly string[] | undefined;
  /** The sessions with a terminal that run there; undefined: as it told last. */
  readonly sessions?: LiveSessions | undefined;
}

/** Turns the heartbeats of many hosts into one fact every few seconds. */
export interface PresenceWriter {
  /** The host is alive for `ttlSeconds`, and reports this; stored with the next fact. */
  renew(
    host: { readonly hostId: string; readonly role: SystemRole },
    ttlSeconds: number,
    reported?: Reported,
  ): void;
  /**
   * Stores at once what is waiting. Returns the position by which every earlier renewal is on the log;
   * undefined when there never was one.
   */
  flush(): Promise<Position | undefined>;
  /**
   * The same, soon instead of at once: all callers within a moment share one append, however many they are.
   */
  soon(): Promise<Position | undefined>;
  /** Stores what is waiting, then stops. */
  close(): Promise<void>;
}

export interface PresenceOptions {
  readonly log: EventLog;
  readonly world: World;
  readonly sink: LogSink;
  /** Of this auth server, the only writer of its stream apart from a predecessor that is about to end. */
  readonly hostId: string;
  readonly intervalMs: number;
  /** From the beginning of one append to that of the next, when somebody waits for it. */
  readonly soonMs: number;
  /** Milliseconds of a monotonic clock. */
  readonly monotonic: () => number;
  /** The same, to measure how long a heartbeat has waited. */
  readonly ageing: () => number;
}

interface Waiting {
  readonly renewal: Renewal;
  readonly heardMs: number;
}

export function presenceWriter(options: PresenceOptions): PresenceWriter {
  const { log, world, sink, hostId, intervalMs, soonMs, monotonic, ageing } = options;
  const stream = presenceStream(hostId);
  let waiting = new Map<string, Waiting>();
  let revision: Revision | undefined;
  let told: Position | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let beganAt = -Infinity;
  let asked: Promise<Position | undefined> | undefined;
  const closing = new AbortController();

  const append = async (facts: readonly PresenceFact[]): Promise<Position> => {
    const cause = ownCause({ world, hostId });
    for (;;) {
      try {
        revision ??= await log.revision(stream);
        const position = await log.append([{ stream, expected: revision, facts }], cause);
        revision += facts.length;
        return position;
      } catch (e) {
        revision = undefined;
        if (!isCoded(e, 'conflict')) throw e;
      }
    }
  };

  const flushNow = async (): Promise<Position | undefined> => {
    if (waiting.size === 0) return told;
    beganAt = monotonic();
    const mine = waiting;
    waiting = new Map();
    try {
      const facts = presence.decide(null, {
        type: 'renew-hosts',
        hosts: [...mine.values()].map((one) => withoutWait(one, ageing())),
      });
      for (const some of appendsOf(facts)) {
        told = await append(some);
        for (const { data } of some) for (const host of data.hosts) mine.delete(keyOf(host));
      }
      return told;
    } catch (e) {
      // What could not be stored waits again. A later heartbeat of the same host replaces it.
      for (const [key, one] of mine) {
        const newer = waiting.get(key);
        waiting.set(key, newer === undefined ? one : withSessionsOf(one, newer));
      }
      throw e;
    }
  };

  /** One at a time, in order. */
  const flush = (): Promise<Position | undefined> => {
    const mine = last.then(flushNow);
    last = mine.catch(() => undefined);
    return mine;
  };

  const soon = (): Promise<Position | undefined> => {
    asked ??= pause(Math.max(0, beganAt + soonMs - monotonic()), closing.signal).then(() => {
      asked = undefined;
      return flush();
    });
    return asked;
  };

  /** Logged once, however long it lasts. */
  let failing = false;
  const timer = startTicker(() => {
    flush().then(
      () => {
        if (failing) sink.info('heartbeats are stored again');
        failing = false;
      },
      (e: unknown) => {
        if (!failing)
          sink.warn('heartbeats cannot be stored now: they wait', {
            reason: messageOf(e),
            hosts: waiting.size,
          });
        failing = true;
      },
    );
  }, intervalMs);
  timer.unref();

  return {
    renew: (
      { hostId: whose, role },
      ttlSeconds,
      { labels, adopted, leaving, trouble, proxies, leaves, sessions } = {},
    ) => {
      const renewal = {
        ...{ hostId: whose, role, seenAt: world.now(), ttlSeconds },
        ...(labels !== undefined && { labels }),
        ...(adopted !== undefined && adoptedField(adopted)),
        ...(leaving !== undefined && { leaving }),
        ...(trouble !== undefined && { trouble }),
        ...(proxies !== undefined && { proxies: [...proxies] }),
        ...(leaves !== undefined && { leaves: [...leaves] }),
        ...(sessions !== undefined && { sessions }),
      };
      const key = keyOf(renewal);
      const one = { renewal, heardMs: ageing() };
      const before = waiting.get(key);
      waiting.set(key, before === undefined ? one : withSessionsOf(before, one));
    },
    flush,
    soon,
    close: async () => {
      stopTimer(timer);
      closing.abort();
      await flush().catch((e: unknown) => {
        sink.warn('the last heartbeats could not be stored', { reason: messageOf(e) });
      });
    },
  };
}

/** A host tells of its sessions only when they have changed: the newer heartbeat may be without. */
const withSessionsOf = ({ renewal: { sessions } }: Waiting, newer: Waiting): Waiting =>
  sessions === undefined || newer.renewal.sessions !== undefined
    ? newer
    : { ...newer, renewal: { ...newer.renewal, sessions } };

/**
 * Readers count from when they learn of a renewal: one that has waited, while the store was away say, has
 * less time left.
 */
const withoutWait = ({ renewal, heardMs }: Waiting, ms: number): Renewal => ({
  ...renewal,
  ttlSeconds: Math.max(0, renewal.ttlSeconds - Math.floor((ms - heardMs) / second)),
});

/**
 * The presence of an auth server that is starting. Where the store has no space for presence, the start
 * continues: people can log in using the reserved space, and free some.
 */
export async function flushIfRoom(presence: PresenceWriter, sink: LogSink): Promise<void> {
  try {
    await presence.flush();
  } catch (e) {
    if (!isCoded(e, 'no_space')) throw e;
    sink.warn('the store has no room for heartbeats: this server starts unseen', { reason: e.message });
  }
}

const keyOf = ({ hostId, role }: Pick<Renewal, 'hostId' | 'role'>): string => `${hostId}/${role}`;
