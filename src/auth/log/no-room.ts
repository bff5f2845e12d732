import type { LogSink } from '../../base/log-sink.ts';
import { minute } from '../../base/time.ts';

/**
 * The error for callers when a store is full: on which auth server, and which place. Also logged by this
 * server, once a minute however many ask.
 */
export function noRoomOn(
  nodename: string,
  sink: LogSink,
  monotonic: () => number = () => performance.now(),
): (reason: string) => string {
  let toldAt = -Infinity;
  return (reason) => {
    if (monotonic() - toldAt >= minute) {
      toldAt = monotonic();
      sink.error('the store has no room: what changes something is refused', { reason });
    }
    return `the store of auth server ${nodename} has no room: ${reason}`;
  };
}
