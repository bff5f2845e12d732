import { constants } from 'node:os';
import type { ExitStatus } from '../ssh/channel-types.ts';

/** How a process ended. */
export type ProgramEnd =
  | { readonly status: 'exited'; readonly code: number }
  | { readonly status: 'killed'; readonly signal: number; readonly coreDumped: boolean }
  /** Unknown: it does not end, or somebody else has waited for it. */
  | { readonly status: 'unknown' };

/** Signals that a session's client may send or receive. Source: RFC 4254, 6.10. */
export const standardSignals: ReadonlySet<string> = new Set([
  ...['ABRT', 'ALRM', 'FPE', 'HUP', 'ILL', 'INT', 'KILL', 'PIPE', 'QUIT', 'SEGV', 'TERM', 'USR1', 'USR2'],
]);

/** The first real-time signal of programs: the C library reserves the two before it. Source: signal(7). */
const firstRealTime = 34;

/**
 * Reads the status that `waitpid` returns for a process that has ended. Source: bits/waitstatus.h of glibc
 * and musl.
 */
export function endOfWait(status: number): ProgramEnd {
  const signal = status & 0x7f;
  return signal === 0
    ? { status: 'exited', code: (status >> 8) & 0xff }
    : { status: 'killed', signal, coreDumped: (status & 0x80) !== 0 };
}

/** The status that is sent to a client. Signals that the protocol has no name for get one of OpenSSH's. */
export function exitOf(end: ProgramEnd): ExitStatus {
  if (end.status !== 'killed') return end;
  const name = signalName(end.signal);
  return {
    status: 'signalled',
    signal: standardSignals.has(name) ? name : `${name}@openssh.com`,
    coreDumped: end.coreDumped,
    message: '',
  };
}

/** `TERM`, `RTMIN+2`; `SIG`, as OpenSSH says, for one without a name. */
function signalName(signal: number): string {
  const known = Object.entries(constants.signals).find(([, number]) => number === signal);
  if (known !== undefined) return known[0].replace(/^SIG/, '');
  if (signal < firstRealTime) return 'SIG';
  return signal === firstRealTime ? 'RTMIN' : `RTMIN+${signal - firstRealTime}`;
}

/** The number of a signal named by a server; undefined for an unknown name. */
export function signalNumber(name: string): number | undefined {
  const plain = name.replace(/@openssh\.com$/, '');
  const realTime = /^RTMIN(?:\+(\d{1,2}))?$/.exec(plain);
  if (realTime !== null) return firstRealTime + Number(realTime[1] ?? '0');
  return Object.entries(constants.signals).find(([signal]) => signal === `SIG${plain}`)?.[1];
}
