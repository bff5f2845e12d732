import { minute } from './duration.ts';
import type { LogSink } from './log-sink.ts';

/**
 * A warning of what anybody can cause at will: in the log once a minute at most, with how often it was so
 * far.
 * @param monotonic in milliseconds.
 * @param others whether the rest is in the log where everything is logged.
 */
export function seldom(
  sink: Pick<LogSink, 'warn' | 'debug'>,
  monotonic: () => number,
  others: 'in debug' | 'nowhere' = 'in debug',
): (message: string, fields: Readonly<Record<string, unknown>>) => void {
  let [toldAt, count] = [Number.NEGATIVE_INFINITY, 0];
  return (message, fields) => {
    count++;
    const told = { ...fields, refusedSoFar: count };
    if (monotonic() - toldAt < minute) {
      if (others === 'in debug') sink.debug(message, told);
      return;
    }
    toldAt = monotonic();
    sink.warn(message, told);
  };
}
