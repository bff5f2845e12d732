import { fstatSync, statSync } from 'node:fs';
import type { LogSink } from '../../base/log-sink.ts';
import { type LoggerOptions, showsInfo, standardStreamOf } from './logger.ts';
import { runOwn } from '../run-own.ts';

/** Where the machine keeps the logs of its services. */
export type SystemLog =
  /** The lines of the daemon already go there. */
  | { readonly kind: 'journal' }
  | { readonly kind: 'syslog'; readonly socket: string }
  | { readonly kind: 'none'; readonly reason: string };

const syslogSocket = '/dev/log';
const limitMs = 10_000;
/** More than any of our lines has; syslog daemons accept 8 KiB. The program's own limit is 1 KiB. */
const longestLine = 8192;

/**
 * Under systemd the journal already has our log, when it goes to a standard stream that is the journal's, at
 * level info or lower; `/dev/log` leads there too, and would duplicate every line.
 * Source: systemd.exec(5), JOURNAL_STREAM.
 */
export function findSystemLog(
  log: Pick<LoggerOptions, 'output' | 'severity'>,
  env: NodeJS.ProcessEnv,
  look: { stream(fd: number): string | undefined; isSocket(path: string): boolean } = fromSystem,
): SystemLog {
  const stream = standardStreamOf(log.output);
  const journal = env['JOURNAL_STREAM'];
  if (
    stream !== undefined &&
    journal !== undefined &&
    showsInfo(log.severity) &&
    look.stream(stream) === journal
  )
    return { kind: 'journal' };
  if (look.isSocket(syslogSocket)) return { kind: 'syslog', socket: syslogSocket };
  return { kind: 'none', reason: `there is no socket ${syslogSocket}` };
}

const fromSystem = {
  stream: (fd: number): string | undefined => {
    try {
      const { dev, ino } = fstatSync(fd);
      return `${dev}:${ino}`;
    } catch {
      return undefined; // it is closed
    }
  },
  isSocket: (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isSocket() === true,
};

/**
 * Sends the lines to syslog, a message each, by `logger` of util-linux: Node has no UNIX datagrams. Failures
 * are reported in our own log, which has the lines in any case. Source: logger(1).
 */
export async function sendToSystemLog(
  lines: readonly string[],
  to: SystemLog,
  sink: Pick<LogSink, 'info' | 'warn'>,
): Promise<void> {
  if (to.kind === 'journal') return;
  const fail = (reason: string): void => {
    sink.warn('SIGUSR1: the diagnostics are in this log only, the system log was not reached', { reason });
  };
  if (to.kind === 'none') {
    fail(to.reason);
    return;
  }
  const reason = await logger(lines, to.socket);
  if (reason === undefined)
    sink.info('SIGUSR1: the diagnostics are in the system log too', { socket: to.socket });
  else fail(reason);
}

/** Undefined when every line was taken. */
async function logger(lines: readonly string[], socket: string): Promise<string | undefined> {
  const argv = [
    ...['logger', '--socket', socket, '--socket-errors=on', '--size', String(longestLine)],
    ...['--tag', 'teleport', '--priority', 'daemon.info', `--id=${process.pid}`],
  ];
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
  const { failure, complaint } = await runOwn(argv, {
    env,
    limitMs,
    input: lines.map((line) => `${line}\n`).join(''),
  });
  return complaint === '' ? failure : complaint;
}
