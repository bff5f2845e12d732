import { pause } from '../base/backoff.ts';
import { cleanedText } from '../base/clean-text.ts';
import { isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { type Instant, minute, second } from '../base/time.ts';
import { factsLevel } from '../domain/critical.ts';
import { type HostInfo, hostRecordOf } from '../domain/host-info.ts';
import type { LiveSessions } from '../domain/live-sessions.ts';
import { leavesHeld } from '../domain/presence.ts';
import { startTimer, stopTimer, type Timer } from '../base/timers.ts';
import { type Adopted, adoptedField, sameAdopted } from '../domain/rotation-mark.ts';
import type { AuthClient } from './client.ts';
import { comeBackMs, isNoAnswerInTime, isTurnedAway } from './no-answer.ts';
import { heartbeat, longestTrouble } from './operations/host.ts';

const retryMs = 5 * second;
const leastPauseMs = second;
/**
 * Longest pause in milliseconds before a heartbeat that failed `failures` times in a row is tried again. An
 * auth server that does not reply in time may be overloaded: each time half as many hosts ask again. One that
 * turns clients away is asked again when all may have come back to it.
 */
export function retryAfter(failures: number, failure: unknown, everyMs: number, spreadMs = 0): number {
  if (isTurnedAway(failure)) return Math.min(everyMs, Math.max(retryMs, comeBackMs(spreadMs)));
  if (isNoAnswerInTime(failure)) return Math.min(everyMs, retryMs * 2 ** Math.min(failures - 1, 10));
  return retryMs;
}

/**
 * Sent every minute, valid for ten: an auth server may be away for that long before a host counts as gone.
 */
export const hostPresence: Pace = { everyMs: minute, ttlSeconds: 600 };

/** A stop waits no longer than this for its farewell. */
const farewellMs = second;

/** How often a host sends heartbeats, and for how long it counts as alive after one. */
export interface Pace {
  readonly everyMs: number;
  readonly ttlSeconds: number;
}

export interface Announcement {
  /** Resolves when auth has accepted the first one, or it was stopped before; never rejects. */
  readonly first: Promise<void>;
  /** Tells auth at once that something changed. */
  renew(): void;
  /** To be called when `adopted` may have changed: auth learns of it soon; with many hosts a little later. */
  adopt(): void;
  /** Undefined while auth accepts them. */
  trouble(): string | undefined;
  /** `farewell`: auth is told that this host leaves, if that is possible within a second. */
  stop(farewell?: 'farewell'): Promise<void>;
}

/**
 * Announces this machine to the cluster: at once, when `renew` is called, and at its pace less a random part,
 * so that many machines do not send at the same moment. It tries again after a refusal or while auth is away.
 * @param host asked each time: labels may change.
 */
export function announceHost(options: {
  readonly auth: Pick<AuthClient, 'call'>;
  readonly sink: LogSink;
  readonly host: () => HostInfo;
  /** How far this host follows the rotations of the authorities; asked each time. */
  readonly adopted: () => Adopted;
  /** Why it cannot renew its certificates; undefined while it can. */
  readonly renewalTrouble?: () => string | undefined;
  /** The proxies that it hangs on; undefined for a host that is reached at an address. */
  readonly proxies?: (() => readonly string[]) | undefined;
  /** Proxies: the clusters that hang on it. */
  readonly leaves?: () => readonly string[];
  /** Nodes: the sessions that run there. Told when they have changed, and now and then again. */
  readonly sessions?: () => LiveSessions;
  /** Called with the time over which the machines of the cluster spread what all of them do at once. */
  readonly onSpread?: (ms: number) => void;
  /** In [0, 1). */
  readonly random: () => number;
  /** Auth servers compare their clocks with it. */
  readonly now: () => Instant;
  /** Its farewell is for good: it does not come back, or joins the cluster again. Default: it comes back. */
  readonly leavesOnStop?: boolean | undefined;
  /** Default: `hostPresence`. */
  readonly pace?: Pace;
  /** Stops it as `stop` does: for a start that is cancelled while it waits for the first one. */
  readonly stopping?: AbortSignal | undefined;
}): Announcement {
  const { auth, sink, host, adopted, random, now, onSpread } = options;
  const { everyMs, ttlSeconds } = options.pace ?? hostPresence;
  const stop = new AbortController();
  const stopping = options.stopping ? AbortSignal.any([stop.signal, options.stopping]) : stop.signal;
  let wake = new AbortController();
  let trouble: string | undefined = 'this host has not been announced yet';
  let announced: () => void = () => undefined;
  const first = new Promise<void>((resolve) => {
    announced = resolve;
  });

  /** What auth knows. */
  let reported: Adopted | undefined;
  let spreadMs = 0;
  let adopting: Timer | undefined;

  const sessions = sessionsToTell(options.sessions);
  const report = (marks: Adopted, running: LiveSessions | undefined) => ({
    host: { ...hostRecordOf(host()), understands: factsLevel },
    ...{ ttlSeconds, sentAt: now() },
    ...adoptedField(marks),
    ...(options.proxies && { proxies: [...options.proxies()] }),
    ...leavesField(options.leaves?.() ?? []),
    ...(running !== undefined && { sessions: running }),
  });

  let failures = 0;
  /** That auth accepts no changes is logged once. */
  let puttingOff = false;
  /** Returns how long to wait before the next one. */
  const once = async (): Promise<number> => {
    try {
      const marks = adopted();
      const running = sessions.due();
      const { changeAfterMs, notice, ...heard } = await auth.call(heartbeat, {
        ...report(marks, running),
        ...troubleField(options.renewalTrouble?.()),
      });
      reported = marks;
      sessions.told(running);
      spreadMs = heard.spreadMs ?? 0;
      onSpread?.(spreadMs);
      if (trouble !== undefined) sink.debug('auth has taken the announcement of this host');
      trouble = undefined;
      failures = 0;
      if (notice !== undefined && !puttingOff)
        sink.warn('auth takes no more changes of this host at this rate: the newest is sent later', {
          reason: notice,
        });
      puttingOff = changeAfterMs !== undefined;
      announced();
      const pauseMs = everyMs * (0.8 + 0.2 * random());
      return changeAfterMs === undefined ? pauseMs : Math.min(pauseMs, Math.max(leastPauseMs, changeAfterMs));
    } catch (e) {
      const why = `heartbeat: ${messageOf(e)}`;
      if (trouble !== why) sink.warn(why);
      trouble = why;
      failures++;
      const waitMs = retryAfter(failures, e, everyMs, spreadMs) * (0.5 + 0.5 * random());
      return Math.max(waitMs, Math.min(everyMs, isCoded(e) ? (e.retryAfterMs ?? 0) : 0));
    }
  };
  /** A host whose farewell cannot be delivered counts as alive for its time, as one that was killed. */
  const sayFarewell = async (): Promise<void> => {
    const told = auth
      .call(heartbeat, {
        ...report(adopted(), undefined),
        leaving: true,
        ...(options.leavesOnStop === true && { forGood: true }),
      })
      .catch((e: unknown) => {
        sink.debug('auth could not be told that this host stops', { reason: messageOf(e) });
      });
    await Promise.race([told, pause(farewellMs)]);
  };
  const loop = async (): Promise<void> => {
    while (!stopping.aborted) {
      wake = new AbortController();
      await pause(await once(), AbortSignal.any([stopping, wake.signal]));
    }
    announced();
  };
  const running = loop();
  return {
    first,
    renew: () => {
      if (!puttingOff) wake.abort();
    },
    adopt: () => {
      if (adopting !== undefined || sameAdopted(reported, adopted())) return;
      adopting = startTimer(() => {
        adopting = undefined;
        wake.abort();
      }, spreadMs * random());
    },
    trouble: () => trouble,
    stop: async (farewell) => {
      if (adopting !== undefined) stopTimer(adopting);
      stop.abort();
      await running;
      if (farewell !== undefined) await sayFarewell();
    },
  };
}

/** An auth server that ended before it stored what it was told: so many heartbeats later it is told again. */
const toldAgainAfter = 10;

/** What of the sessions a heartbeat has to tell. */
function sessionsToTell(running: (() => LiveSessions) | undefined): {
  /** Undefined: they are as auth knows them. */
  due(): LiveSessions | undefined;
  /** Auth has taken what `due` returned. */
  told(sessions: LiveSessions | undefined): void;
} {
  let known: string | undefined;
  let heartbeats = 0;
  /** How often it was told that there are none, one after the other. */
  let timesNone = 0;
  return {
    due: () => {
      const now = running?.();
      const isKnown = JSON.stringify(now) === known;
      return isKnown && (heartbeats < toldAgainAfter || timesNone > 1) ? undefined : now;
    },
    told: (sessions) => {
      heartbeats++;
      if (sessions === undefined) return;
      known = JSON.stringify(sessions);
      heartbeats = 0;
      timesNone = sessions.known.length === 0 ? timesNone + 1 : 0;
    },
  };
}

/** As many as fit into a heartbeat: the others are only found by asking each proxy. */
function leavesField(leaves: readonly string[]): { readonly leaves?: string[] } {
  const named = leaves.filter((_, i) => leavesHeld.safeParse(leaves.slice(0, i + 1)).success);
  return named.length === 0 ? {} : { leaves: named };
}

/** One line, cut to the length that is sent to others. */
const troubleField = (text: string | undefined): { readonly trouble?: string } =>
  text === undefined ? {} : { trouble: cleanedText(text).slice(0, longestTrouble).toWellFormed() };
