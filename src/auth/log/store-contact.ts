import type { Serving } from '../../api/server-deps.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { second } from '../../base/time.ts';
import { startTicker } from '../../base/timers.ts';
import type { FoldLag } from './fold-lag.ts';

/**
 * Whether this auth server hears from its store. One that does not is alive and replies, but serves nobody.
 */
export interface StoreContact extends Serving {
  /** Milliseconds since a moment at which this server had everything that was in the store. */
  ageMs(): number;
  /** Why followers should go to another server; undefined while they are served. */
  farewell(): string | undefined;
  close(): void;
}

export interface ContactOptions {
  readonly lag: Pick<FoldLag, 'lagMs' | 'silentMs' | 'reason'>;
  readonly sink: LogSink;
  /** After this long without a reply from the store the server takes no calls, and ends those that wait. */
  readonly silenceMs: number;
  /** Milliseconds of a monotonic clock. */
  readonly monotonic: () => number;
  /** Called when followers should go to another server. */
  readonly onFarewell: () => void;
}

/** About the time in which a store elects another leader; callers may notice at most three seconds of it. */
const usualMs = 2 * second;
/**
 * As a share of the allowed lag: an operator who allows more than usual has a store that is slow at times.
 */
const shareOfLag = 0.4;
/** Later callers have given up by themselves. */
const longestMs = 8 * second;

/**
 * How long a store may be silent before an auth server serves nobody.
 * @param reach of the store: a store on the disk of this machine cannot be read faster by another server, and
 *   a disk may stall.
 */
export const silenceFor = (maxLogLagMs: number, reach: 'machine' | 'network'): number =>
  reach === 'machine'
    ? longestMs
    : Math.min(longestMs, Math.max(Math.min(usualMs, maxLogLagMs), maxLogLagMs * shareOfLag));
/**
 * Followers are kept a little longer: a moment in which everything is slow must not make thousands reconnect.
 */
const farewellAfterMs = second / 2;
const ticksInSilence = 10;
/** A process that was stopped, or not scheduled, asks its store before it judges. */
const stalledAfterTicks = 4;

/** Watches how long ago the store last replied. */
export function watchStoreContact(options: ContactOptions): StoreContact {
  const { lag, sink, silenceMs, monotonic, onFarewell } = options;
  const everyMs = silenceMs / ticksInSilence;
  const interrupted = new Set<(reason: string) => void>();
  let tickedAt = monotonic();
  let graceUntil = -Infinity;
  let refuses = false;
  let endsStreams = false;

  const text = (): string =>
    `serves nobody: it has not heard from its store for ${(lag.silentMs() / second).toFixed(1)} s (${lag.reason()})`;
  const isSilent = (forMs: number): boolean => lag.silentMs() > forMs && monotonic() >= graceUntil;

  const begin = (): void => {
    const why = text();
    sink.warn(`${why}; callers and followers are sent to other auth servers`, {});
    for (const interrupt of [...interrupted]) interrupt(`this auth server ${why}`);
  };
  const tick = (): void => {
    const now = monotonic();
    if (now - tickedAt > stalledAfterTicks * everyMs) graceUntil = now + silenceMs / 2;
    tickedAt = now;
    const [refused, ended] = [refuses, endsStreams];
    refuses = isSilent(silenceMs);
    endsStreams = isSilent(silenceMs + farewellAfterMs);
    if (refuses && !refused) begin();
    if (refused && !refuses) sink.info('this auth server hears from its store again, and serves', {});
    if (endsStreams && !ended) onFarewell();
  };
  const timer = startTicker(tick, everyMs);
  timer.unref();

  return {
    ageMs: () => lag.lagMs(),
    refusal: () => (refuses && isSilent(silenceMs) ? text() : undefined),
    farewell: () => (endsStreams && isSilent(silenceMs) ? text() : undefined),
    interruption: (interrupt) => {
      interrupted.add(interrupt);
      return () => interrupted.delete(interrupt);
    },
    close: () => {
      timer.stop();
    },
  };
}
