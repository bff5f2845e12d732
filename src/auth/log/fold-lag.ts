import { CodedError, isCoded, messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { Metrics } from '../../base/service.ts';
import { startTicker, startTimer, stopTimer } from '../../base/timers.ts';
import { UnusableLog } from '../../log/reader-condition.ts';
import { StoreWentBack } from '../../log/slot-driver.ts';
import type { AuthViews } from '../auth-views.ts';

/** How far the folds of this auth server may be behind the store. */
export interface FoldLag {
  /**
   * Milliseconds since a moment at which this process had everything that was in the store. By the machine's
   * own monotonic clock alone: clocks of other machines, and times on the log, play no part.
   */
  lagMs(): number;
  /**
   * Milliseconds since the last successful look ended. A slow store keeps this short, and makes `lagMs` long.
   */
  silentMs(): number;
  /** Why the last look failed, or has not ended yet. */
  reason(): string;
  /**
   * @throws CodedError `unavailable` while it is further behind than is allowed: what it decides by may have
   *   been revoked.
   */
  require(): void;
  /** For `/readyz`. */
  trouble(): string | undefined;
  /** Looks at the store's head now. */
  look(): Promise<void>;
  close(): void;
}

export interface FoldLagOptions {
  readonly views: Pick<AuthViews, 'fresh'>;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  readonly limitMs: number;
  /** The longest time between two looks at the store. Default: a fifth of the limit. */
  readonly everyMs?: number | undefined;
  /** Milliseconds of a monotonic clock. */
  readonly monotonic: () => number;
}

/** How many looks there are within the limit, so that a single slow one does not stop anything. */
const looksWithinLimit = 5;

/** Watches the distance between the store's head and the folds. They must be fresh at the call. */
export function watchFoldLag(options: FoldLagOptions): FoldLag {
  const { views, sink, metrics, limitMs, everyMs = Infinity, monotonic } = options;
  let [freshAt, heardAt] = [monotonic(), monotonic()];
  let looking = false;
  let reason = 'the store does not answer';
  let told = false;
  const lagMs = (): number => monotonic() - freshAt;
  const isBehind = (): boolean => lagMs() > limitMs;

  const tell = (): void => {
    metrics.set('auth_fold_lag_seconds', lagMs() / 1000);
    if (isBehind() === told) return;
    told = !told;
    if (told)
      sink.warn('this auth server issues no certificates: its copy of the log is behind', {
        lagMs: lagMs(),
        reason,
      });
    else sink.info('the copy of the log has caught up: this auth server issues certificates again');
  };
  const look = async (): Promise<void> => {
    tell();
    // A look that hangs is not repeated; when it ends, the next one counts.
    if (looking) return;
    looking = true;
    const began = monotonic();
    reason = 'the store does not answer';
    try {
      await views.fresh();
      [freshAt, heardAt] = [began, monotonic()];
    } catch (e) {
      reason = messageOf(e);
      if (hasAnswered(e)) heardAt = monotonic();
    } finally {
      looking = false;
    }
    tell();
  };
  const timer = startTicker(() => void look(), Math.min(limitMs / looksWithinLimit, everyMs));
  timer.unref();

  const trouble = (): string | undefined =>
    isBehind()
      ? `issues no certificates: its copy of the log is ${(lagMs() / 1000).toFixed(1)} s behind (${reason}); at most ${limitMs / 1000} s are allowed`
      : undefined;
  return {
    lagMs,
    silentMs: () => monotonic() - heardAt,
    reason: () => reason,
    require: () => {
      const why = trouble();
      if (why !== undefined) throw new CodedError('unavailable', `this auth server ${why}`);
    },
    trouble,
    look,
    close: () => {
      stopTimer(timer);
    },
  };
}

/**
 * A store that went back, or is damaged, has replied: that condition decides what the server does then, and
 * operators work through the server.
 */
const hasAnswered = (e: unknown): boolean =>
  e instanceof StoreWentBack ||
  e instanceof UnusableLog ||
  (isCoded(e) && !isCoded(e, 'unavailable') && !isCoded(e, 'ambiguous'));

/** `fresh` with a time limit: a caller waiting for a store that hangs gets an error. */
export function freshWithin(views: AuthViews, limitMs: number): AuthViews {
  return {
    ...views,
    fresh: () => {
      const { promise: late, reject } = Promise.withResolvers<never>();
      const timer = startTimer(() => {
        reject(
          new CodedError(
            'unavailable',
            `the store did not return the head of the log within ${limitMs / 1000} s`,
          ),
        );
      }, limitMs);
      return Promise.race([views.fresh(), late]).finally(() => {
        stopTimer(timer);
      });
    },
  };
}
