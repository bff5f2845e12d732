import { execFile } from 'node:child_process';
import { messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';

/** Tells systemd how this daemon is. Does nothing where nobody listens. */
export interface ServiceManager {
  /** This process serves, and is the main one of its unit from here on. */
  ready(status: string): Promise<void>;
  /** Begins a reload; ends with `ready` of this process or of its successor. */
  reloading(): Promise<void>;
  stopping(): Promise<void>;
  status(text: string): Promise<void>;
  /** Sends a sign of life while `alive` answers true; the answer stops it. */
  keepAlive(alive: () => boolean): () => void;
}

/**
 * By `systemd-notify`, which is on every machine that needs it: Node has no UNIX datagrams. The unit must have
 * `NotifyAccess=all`. Source: sd_notify(3).
 */
export function serviceManager(env: NodeJS.ProcessEnv, sink: Pick<LogSink, 'warn'>): ServiceManager {
  const listens = env['NOTIFY_SOCKET'] !== undefined && env['NOTIFY_SOCKET'] !== '';
  const watchdogMs = Number(env['WATCHDOG_USEC'] ?? '0') / 1000;
  // One after the other: the last status said is the last one heard.
  let last: Promise<void> = Promise.resolve();
  const tell = (...assignments: string[]): Promise<void> => {
    if (!listens) return last;
    last = last.then(() => notify(assignments, env, sink));
    return last;
  };
  return {
    ready: (status) => tell('READY=1', `MAINPID=${process.pid}`, `STATUS=${oneLine(status)}`),
    reloading: () =>
      tell(
        'RELOADING=1',
        `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`,
        'STATUS=starting a new process from what is on disk',
      ),
    stopping: () => tell('STOPPING=1', 'STATUS=stopping'),
    status: (text) => tell(`STATUS=${oneLine(text)}`),
    keepAlive: (alive) => {
      if (!listens || !(watchdogMs > 0)) return () => undefined;
      const timer = setInterval(() => {
        if (alive()) void tell('WATCHDOG=1');
      }, watchdogMs / 3);
      timer.unref();
      return () => {
        clearInterval(timer);
      };
    },
  };
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ').slice(0, 500);

const notify = (
  assignments: readonly string[],
  env: NodeJS.ProcessEnv,
  sink: Pick<LogSink, 'warn'>,
): Promise<void> =>
  new Promise((resolve) => {
    execFile('systemd-notify', assignments, { env, timeout: 10_000 }, (e) => {
      if (e) sink.warn('systemd was not told', { what: assignments.join(' '), reason: messageOf(e) });
      resolve();
    });
  });
