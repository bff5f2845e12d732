import type { LogSink } from '../../base/log-sink.ts';
import { startTicker } from '../../base/timers.ts';
import type { Position } from '../../log/event.ts';
import type { View } from '../../views/view.ts';

const everyMs = 10_000;

/**
 * Says how far an auth server that starts has read its log, as long as it has not read all of it. Returns a
 * function that ends this.
 * @param to the position at which it begins to serve.
 */
export function tellReading(
  views: readonly Pick<View<unknown>, 'position'>[],
  to: Position,
  sink: Pick<LogSink, 'info'>,
): () => void {
  const ticker = startTicker(() => {
    const read = Math.min(...views.map((view) => view.position()));
    sink.info('auth reads its log before it serves', { event: read, of: to });
  }, everyMs).unref();
  return () => {
    ticker.stop();
  };
}
