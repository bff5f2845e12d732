import { pause } from '../../base/backoff.ts';
import { second } from '../../base/duration.ts';
import { messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';

/**
 * Standard output and error of a daemon, which may fail while it serves: a reader that ended, a full disk, a
 * terminal.
 */
export interface StandardStreams {
  /** From here on failures are logged to `sink`; those of `own` are reported by the log itself. */
  tellTo(sink: LogSink, own: 1 | 2 | undefined): void;
  /** False when one of them has not accepted its data within a moment: waiting for it might take for ever. */
  flushed(): Promise<boolean>;
}

const flushMs = 2 * second;
const names = { 1: 'standard output', 2: 'standard error' } as const;

/**
 * To be called before anything is written. A command whose reader leaves ends (`cli/program.ts`); a daemon
 * does not: from here on a write that fails is lost, which is logged once.
 */
export function outliveStandardStreams(
  streams: Readonly<Record<1 | 2, NodeJS.WritableStream>> = { 1: process.stdout, 2: process.stderr },
): StandardStreams {
  const lost = new Map<1 | 2, string>();
  let tell: (fd: 1 | 2) => void = () => undefined;
  for (const fd of [1, 2] as const) {
    streams[fd].removeAllListeners('error');
    streams[fd].on('error', (e: unknown) => {
      if (lost.has(fd)) return;
      lost.set(fd, messageOf(e));
      tell(fd);
    });
  }
  return {
    tellTo: (sink, own) => {
      tell = (fd) => {
        if (fd !== own) sink.warn(`${names[fd]} takes nothing any more`, { reason: lost.get(fd) });
      };
      for (const fd of lost.keys()) tell(fd);
    },
    flushed: async () => {
      const limit = new AbortController();
      const written = Promise.all([emptied(streams[1]), emptied(streams[2])]).then(() => true);
      const first = await Promise.race([written, pause(flushMs, limit.signal).then(() => false)]);
      limit.abort();
      return first;
    },
  };
}

const emptied = (stream: NodeJS.WritableStream): Promise<void> =>
  new Promise((resolve) => {
    stream.write('', () => {
      resolve();
    });
  });
