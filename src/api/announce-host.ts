import { pause } from '../base/backoff.ts';
import { isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { type Instant, minute, second } from '../base/time.ts';
import type { HostInfo } from '../domain/host-info.ts';
import type { AuthClient } from './client.ts';
import { isNoAnswerInTime } from './no-answer.ts';
import { heartbeat } from './operations.ts';

const retryMs = 5 * second;
const leastPauseMs = second;
/**
 * Longest pause in milliseconds before a heartbeat that failed `failures` times in a row is tried again. An auth server that
 * does not answer in time may have too much to do: each time half as many ask again.
 */
export const retryAfter = (failures: number, failure: unknown, everyMs: number): number =>
  isNoAnswerInTime(failure) ? Math.min(everyMs, retryMs * 2 ** Math.min(failures - 1, 10)) : retryMs;
/** Said every minute, true for ten: an auth server may be away for that long before a host counts as gone. */
export const hostPresence: Pace = { everyMs: minute, ttlSeconds: 600 };

/** How often a host speaks, and for how long it counts as alive after that. */
export interface Pace {
  readonly everyMs: number;
  readonly ttlSeconds: number;
}

export interface Announcement {
  /** Resolves when auth has taken the first one, or it was stopped before; never rejects. */
  readonly first: Promise<void>;
  /** Tells auth at once that something changed. */
  renew(): void;
  /** Undefined while auth takes them. */
  trouble(): string | undefined;
  stop(): Promise<void>;
}

/**
 * Tells the cluster that this machine is here: at once, when `renew` is called, and at its pace less a random part, so
 * that many machines do not speak at the same moment. A refusal or an absent auth is tried again.
 * @param host asked each time: labels may change.
 */
export function announceHost(options: {
  readonly auth: Pick<AuthClient, 'call'>;
  readonly sink: LogSink;
  readonly host: () => HostInfo;
  /** In [0, 1). */
  readonly random: () => number;
  /** Auth servers compare their clocks with it. */
  readonly now: () => Instant;
  /** Default: `hostPresence`. */
  readonly pace?: Pace;
  /** Stops it as `stop` does: for a start that is given up while it waits for the first one. */
  readonly stopping?: AbortSignal | undefined;
}): Announcement {
  const { auth, sink, host, random, now } = options;
  const { everyMs, ttlSeconds } = options.pace ?? hostPresence;
  const stop = new AbortController();
  const stopping = options.stopping ? AbortSignal.any([stop.signal, options.stopping]) : stop.signal;
  let wake = new AbortController();
  let trouble: string | undefined = 'this host has not been announced yet';
  let announced: () => void = () => undefined;
  const first = new Promise<void>((resolve) => {
    announced = resolve;
  });

  let failures = 0;
  /** Since when auth takes no changes is told once. */
  let puttingOff = false;
  /** Answers how long to wait before the next one. */
  const once = async (): Promise<number> => {
    try {
      const { changeAfterMs, notice } = await auth.call(heartbeat, {
        host: host(),
        ttlSeconds,
        sentAt: now(),
      });
      if (trouble !== undefined) sink.debug('auth knows that this host is here');
      trouble = undefined;
      failures = 0;
      if (notice !== undefined && !puttingOff)
        sink.warn('auth takes no changes of this host at this rate: it is told the newest later', {
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
      const waitMs = retryAfter(failures, e, everyMs) * (0.5 + 0.5 * random());
      return Math.max(waitMs, Math.min(everyMs, isCoded(e) ? (e.retryAfterMs ?? 0) : 0));
    }
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
    trouble: () => trouble,
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}
