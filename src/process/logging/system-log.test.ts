import { fstatSync } from 'node:fs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { recordingSink } from '../../api/testing.ts';
import type { OwnOutcome } from '../run-own.ts';
import { findSystemLog, sendToSystemLog } from './system-log.ts';

const logger = vi.hoisted(() => ({
  calls: [] as [readonly string[], unknown][],
  answer: undefined as unknown as OwnOutcome,
}));
vi.mock('../run-own.ts', () => ({
  runOwn: (argv: readonly string[], run: unknown) => {
    logger.calls.push([argv, run]);
    return Promise.resolve(logger.answer);
  },
}));

const machine = (sockets: readonly string[], streams: Readonly<Record<number, string>> = {}) => ({
  stream: (fd: number) => streams[fd],
  isSocket: (path: string) => sockets.includes(path),
});
const log = { output: 'stderr', severity: 'info' };
const env = { JOURNAL_STREAM: '9:77' };

describe('the log of the system', () => {
  it('is the journal where standard error leads there', () => {
    expect(findSystemLog(log, env, machine(['/dev/log'], { 2: '9:77' }))).toEqual({ kind: 'journal' });
    expect(findSystemLog({ ...log, output: 'stdout' }, env, machine([], { 1: '9:77' }))).toEqual({
      kind: 'journal',
    });
  });
  it('is syslog where our log does not reach the journal', () => {
    const syslog = { kind: 'syslog', socket: '/dev/log' };
    expect(findSystemLog(log, {}, machine(['/dev/log'], { 2: '9:77' }))).toEqual(syslog);
    // Redirected since systemd opened it, a file, or too quiet for what is said.
    expect(findSystemLog(log, env, machine(['/dev/log'], { 2: '9:78' }))).toEqual(syslog);
    expect(findSystemLog({ ...log, output: '/x/y' }, env, machine(['/dev/log'], { 2: '9:77' }))).toEqual(
      syslog,
    );
    expect(findSystemLog({ ...log, severity: 'warn' }, env, machine(['/dev/log'], { 2: '9:77' }))).toEqual(
      syslog,
    );
  });
  it('is told by the open file that standard error is', () => {
    const { dev, ino } = fstatSync(2);
    expect(findSystemLog(log, { JOURNAL_STREAM: `${dev}:${ino}` })).toEqual({ kind: 'journal' });
    expect(findSystemLog(log, { JOURNAL_STREAM: `${dev}:${ino + 1}` }).kind).not.toBe('journal');
  });
  it('may not be there', () => {
    expect(findSystemLog(log, {}, machine([]))).toEqual({
      kind: 'none',
      reason: 'there is no socket /dev/log',
    });
  });
});

describe('what is sent to it', () => {
  const syslog = { kind: 'syslog', socket: '/dev/log' } as const;
  const lines = ['one', 'two'];
  beforeEach(() => {
    logger.calls = [];
    logger.answer = { failure: undefined, complaint: '' };
  });

  it('is a message for each line, by logger, which has 10 s', async () => {
    const sink = recordingSink();
    await sendToSystemLog(lines, syslog, sink);
    const [argv = [], run] = logger.calls[0] ?? [];
    expect([...argv].join(' ')).toBe(
      'logger --socket /dev/log --socket-errors=on --size 8192 --tag teleport --priority daemon.info ' +
        `--id=${process.pid}`,
    );
    expect(run).toEqual({
      env: { PATH: process.env['PATH'] },
      limitMs: 10_000,
      input: 'one\ntwo\n',
    });
    expect(sink.lines).toEqual([
      'info SIGUSR1: the diagnostics are in the system log too {"socket":"/dev/log"}',
    ]);
  });

  it.each([
    [{ failure: 'logger failed with status 1', complaint: 'no socket' }, 'no socket'],
    [{ failure: 'logger took too long and was ended', complaint: '' }, 'logger took too long and was ended'],
    [{ failure: undefined, complaint: 'it is full' }, 'it is full'],
  ])('is said to have failed in our own log: %j', async (answer, reason) => {
    logger.answer = answer;
    const sink = recordingSink();
    await sendToSystemLog(lines, syslog, sink);
    expect(sink.lines).toEqual([
      `warn SIGUSR1: the diagnostics are in this log only, the system log was not reached {"reason":"${reason}"}`,
    ]);
  });

  it('is nothing where the journal has our log already', async () => {
    const sink = recordingSink();
    await sendToSystemLog(lines, { kind: 'journal' }, sink);
    expect([logger.calls, sink.lines]).toEqual([[], []]);
  });

  it('is nothing where there is none, which is said', async () => {
    const sink = recordingSink();
    await sendToSystemLog(lines, { kind: 'none', reason: 'there is no socket' }, sink);
    expect(logger.calls).toEqual([]);
    expect(sink.lines).toEqual([expect.stringMatching(/^warn .*"reason":"there is no socket"/)]);
  });
});
