import { constants } from 'node:os';
import { ExitStatus } from './errors.ts';
import { isIgnored } from './ignored-signals.ts';

const watched = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
export type Interrupt = (typeof watched)[number];

/**
 * Waits for a signal that asks this program to end, so that it can restore the terminal and close connections
 * first.
 */
export interface Interruption {
  /** Rejects with the exit status a shell shows for the signal. Never resolves. */
  readonly signalled: Promise<never>;
  stop(): void;
}

let interrupted = false;

/**
 * Whether a signal asked this process to end. Then it does not wait for the readers of its output, which may
 * never read on.
 */
export const wasInterrupted = (): boolean => interrupted;

/**
 * `onSignal` is called first. A signal that was ignored when we were started stays ignored, as with ssh(1).
 */
export function watchInterruption(onSignal: (signal: Interrupt) => void = () => undefined): Interruption {
  let reject: (e: ExitStatus) => void = () => undefined;
  const signalled = new Promise<never>((_, no) => {
    reject = no;
  });
  // A caller may start to wait for it only later.
  signalled.catch(() => undefined);
  const handler = (signal: Interrupt): void => {
    interrupted = true;
    onSignal(signal);
    reject(new ExitStatus(128 + constants.signals[signal]));
  };
  const heeded = watched.filter((signal) => !isIgnored(signal));
  for (const signal of heeded) process.on(signal, handler);
  return {
    signalled,
    stop: () => {
      for (const signal of heeded) process.off(signal, handler);
    },
  };
}
