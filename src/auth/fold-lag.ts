import { CodedError, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Metrics } from '../base/service.ts';
import type { AuthViews } from './auth-views.ts';

/** How far the folds of this auth server may be behind the store. */
export interface FoldLag {
  /**
   * Milliseconds since a moment at which this process held all that the store had. By the machine's own monotonic clock
   * alone: clocks of other machines, and moments on the log, do not enter.
   */
  lagMs(): number;
  /** @throws CodedError `unavailable` while it is further behind than is allowed: what it decides by may be revoked. */
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
  /** Milliseconds of a clock that is never set. */
  readonly monotonic: () => number;
}

/** Looks so often within the limit: one look that is slow does not stop anything. */
const looksWithinLimit = 5;

/** Watches the distance between the store's head and the folds. They are taken to be fresh at the call. */
export function watchFoldLag({ views, sink, metrics, limitMs, monotonic }: FoldLagOptions): FoldLag {
  let freshAt = monotonic();
  let looking = false;
  let reason = 'the store does not answer';
  let told = false;
  const lagMs = (): number => monotonic() - freshAt;
  const isBehind = (): boolean => lagMs() > limitMs;

  const tell = (): void => {
    metrics.set('auth_fold_lag_seconds', lagMs() / 1000);
    if (isBehind() === told) return;
    told = !told;
    if (told) sink.warn('issues no certificates: its copy of the log is behind', { lagMs: lagMs(), reason });
    else sink.info('its copy of the log has caught up: issues certificates again');
  };
  const look = async (): Promise<void> => {
    tell();
    // What hangs is not asked a second time; when it answers, the next look counts.
    if (looking) return;
    looking = true;
    const began = monotonic();
    reason = 'the store does not answer';
    try {
      await views.fresh();
      freshAt = began;
    } catch (e) {
      reason = messageOf(e);
    } finally {
      looking = false;
    }
    tell();
  };
  const timer = setInterval(() => void look(), limitMs / looksWithinLimit);
  timer.unref();

  const trouble = (): string | undefined =>
    isBehind()
      ? `issues no certificates: its copy of the log is ${(lagMs() / 1000).toFixed(1)} s behind (${reason}); at most ${limitMs / 1000} s are allowed`
      : undefined;
  return {
    lagMs,
    require: () => {
      const why = trouble();
      if (why !== undefined) throw new CodedError('unavailable', `this auth server ${why}`);
    },
    trouble,
    look,
    close: () => {
      clearInterval(timer);
    },
  };
}

/** `fresh` that gives up: whoever waits for a store that hangs gets an answer. */
export function freshWithin(views: AuthViews, limitMs: number): AuthViews {
  return {
    ...views,
    fresh: () => {
      const { promise: late, reject } = Promise.withResolvers<never>();
      const timer = setTimeout(() => {
        reject(
          new CodedError(
            'unavailable',
            `the store did not say within ${limitMs / 1000} s what is new on the log`,
          ),
        );
      }, limitMs);
      return Promise.race([views.fresh(), late]).finally(() => {
        clearTimeout(timer);
      });
    },
  };
}
