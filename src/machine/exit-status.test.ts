import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { endOfWait, exitOf, signalNumber } from './exit-status.ts';

describe('how a process ended', () => {
  it.each([
    [0, { status: 'exited', code: 0 }],
    [0x0300, { status: 'exited', code: 3 }],
    [0xff00, { status: 'exited', code: 255 }],
    [9, { status: 'killed', signal: 9, coreDumped: false }],
    [0x8b, { status: 'killed', signal: 11, coreDumped: true }],
    [35, { status: 'killed', signal: 35, coreDumped: false }],
    [64, { status: 'killed', signal: 64, coreDumped: false }],
  ])('%#: %i of waitpid', (status, end) => {
    expect(endOfWait(status)).toEqual(end);
  });
  it.each([
    [15, 'TERM'],
    [6, 'ABRT'],
    [7, 'BUS@openssh.com'],
    [33, 'SIG@openssh.com'],
    [34, 'RTMIN@openssh.com'],
    [35, 'RTMIN+1@openssh.com'],
    [64, 'RTMIN+30@openssh.com'],
  ])('signal %i is told as %s', (signal, name) => {
    const told = exitOf({ status: 'killed', signal, coreDumped: true });
    expect(told).toEqual({ status: 'signalled', signal: name, coreDumped: true, message: '' });
  });
  it('is never 0 for one that was killed, and whoever hears the name knows the number', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), (signal) => {
        const told = exitOf({ status: 'killed', signal, coreDumped: false });
        const named = told.status === 'signalled' ? told.signal : '';
        const isUnnamed = signal === 32 || signal === 33;
        expect(signalNumber(named)).toBe(isUnnamed ? undefined : signal);
      }),
    );
  });
  it.each(['', 'NOSUCH', 'RTMIN+', 'RTMIN+x', 'toString'])('%j is no signal', (name) => {
    expect(signalNumber(name)).toBeUndefined();
  });
});
