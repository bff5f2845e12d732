import { isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { startTicker, stopTimer } from '../base/timers.ts';

/** Work that any auth server may do, and several at once: what one has done the others find done. */
export interface Upkeep {
  /** Does it once, after what is under way; resolves when it was tried. */
  run(): Promise<void>;
  /** That it fails, for operators; undefined while it does not. */
  trouble(): string | undefined;
  close(): Promise<void>;
}

export interface UpkeepOptions {
  /** @param ending aborted when it is to stop as soon as it can. */
  readonly act: (ending: AbortSignal) => Promise<void>;
  /** Infinite: only when it is asked for. */
  readonly everyMs: number;
  readonly sink: Pick<LogSink, 'warn'>;
  /** Said once when it begins to fail. */
  readonly warning: string;
  /** What is the matter meanwhile; the reason follows. */
  readonly late: string;
}

/** Does it again and again. A failure is reported, and tried again the next time. */
export function startUpkeep({ act, everyMs, sink, warning, late }: UpkeepOptions): Upkeep {
  let failing: string | undefined;
  const ending = new AbortController();
  const attempt = async (): Promise<void> => {
    try {
      await act(ending.signal);
      failing = undefined;
    } catch (e) {
      // Another auth server did the same at the same time.
      if (isCoded(e, 'conflict')) return;
      if (!isCoded(e)) throw e;
      if (failing === undefined) sink.warn(warning, { reason: messageOf(e) });
      failing = messageOf(e);
    }
  };
  let running = Promise.resolve();
  const run = (): Promise<void> => {
    running = running.then(attempt);
    return running;
  };
  const timer = Number.isFinite(everyMs) ? startTicker(() => void run(), everyMs).unref() : undefined;
  return {
    run,
    trouble: () => (failing === undefined ? undefined : `${late}: ${failing}`),
    close: async () => {
      stopTimer(timer);
      ending.abort();
      await running;
    },
  };
}
