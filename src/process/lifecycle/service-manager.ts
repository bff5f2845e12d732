import type { LogSink } from '../../base/log-sink.ts';
import { startTicker, stopTimer } from '../../base/timers.ts';
import { runOwn } from '../run-own.ts';

/** Notifies systemd of the state of this daemon. Does nothing without a service manager. */
export interface ServiceManager {
  /** Whether there is a service manager. */
  readonly listens: boolean;
  /** This process serves, and is the main one of its unit from here on. */
  ready(status: string): Promise<void>;
  /** Begins a reload; ends with `ready` of this process or of its successor. */
  reloading(): Promise<void>;
  stopping(): Promise<void>;
  status(text: string): Promise<void>;
  /** Extends the time of a start, reload or stop that is under way to this long from now. Milliseconds. */
  extend(ms: number): Promise<void>;
  /** Sends a sign of life while `alive` returns true; returns a function that stops it. */
  keepAlive(alive: () => boolean): () => void;
}

/**
 * By `systemd-notify`, which is on every machine that needs it: Node has no UNIX datagrams. The unit must
 * have `NotifyAccess=all`. Source: sd_notify(3).
 */
export function serviceManager(env: NodeJS.ProcessEnv, sink: Pick<LogSink, 'warn'>): ServiceManager {
  const listens = env['NOTIFY_SOCKET'] !== undefined && env['NOTIFY_SOCKET'] !== '';
  const watchdogMs = Number(env['WATCHDOG_USEC'] ?? '0') / 1000;
  // One after the other, so that the last status sent is the last one received.
  let last: Promise<void> = Promise.resolve();
  const tell = (...assignments: string[]): Promise<void> => {
    if (!listens) return last;
    last = last.then(() => notify(assignments, env, sink));
    return last;
  };
  return {
    listens,
    // This is also a sign of life: otherwise a daemon that is reloaded again and again on a busy machine
    // might never send its first one.
    ready: (status) => tell('READY=1', `MAINPID=${process.pid}`, 'WATCHDOG=1', `STATUS=${oneLine(status)}`),
    reloading: () =>
      tell(
        'RELOADING=1',
        `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`,
        'STATUS=starting a new process from what is on disk',
      ),
    stopping: () => tell('STOPPING=1', 'STATUS=stopping'),
    status: (text) => tell(`STATUS=${oneLine(text)}`),
    extend: (ms) => tell(`EXTEND_TIMEOUT_USEC=${ms * 1000}`),
    keepAlive: (alive) => {
      if (!listens || !(watchdogMs > 0)) return () => undefined;
      const timer = startTicker(() => {
        if (alive()) void tell('WATCHDOG=1');
      }, watchdogMs / 3);
      timer.unref();
      return () => {
        stopTimer(timer);
      };
    },
  };
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').slice(0, 500);

async function notify(
  assignments: readonly string[],
  env: NodeJS.ProcessEnv,
  sink: Pick<LogSink, 'warn'>,
): Promise<void> {
  const { failure, complaint } = await runOwn(['systemd-notify', ...assignments], { env, limitMs: 10_000 });
  if (failure === undefined) return;
  sink.warn('systemd was not notified', {
    what: assignments.join(' '),
    reason: `${failure} ${complaint}`.trim(),
  });
}
