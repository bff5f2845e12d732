import { constants } from 'node:os';
import { ExitStatus } from '../errors.ts';

const watched = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type Interrupt = (typeof watched)[number];

/** Waits for a signal that asks this program to end, so that terminal and connections can be put in order first. */
export interface Interruption {
  /** Rejects with the exit status a shell shows for the signal. Never resolves. */
  readonly signalled: Promise<never>;
  stop(): void;
}

/** `onSignal` is told first. */
export function watchInterruption(onSignal: (signal: Interrupt) => void = () => undefined): Interruption {
  let reject: (e: ExitStatus) => void = () => undefined;
  const signalled = new Promise<never>((_, no) => {
    reject = no;
  });
  // Somebody may wait for it only later.
  signalled.catch(() => undefined);
  const handler = (signal: Interrupt): void => {
    onSignal(signal);
    reject(new ExitStatus(128 + constants.signals[signal]));
  };
  for (const signal of watched) process.on(signal, handler);
  return {
    signalled,
    stop: () => {
      for (const signal of watched) process.off(signal, handler);
    },
  };
}
