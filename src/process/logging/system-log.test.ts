import { describe, expect, it } from 'vitest';
import { findSystemLog } from './system-log.ts';

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
  it('may not be there', () => {
    expect(findSystemLog(log, {}, machine([]))).toEqual({
      kind: 'none',
      reason: 'there is no socket /dev/log',
    });
  });
});
