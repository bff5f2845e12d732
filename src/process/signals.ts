import type { LogSink } from '../base/log-sink.ts';

export interface SignalActions {
  /** TERM, INT: stop at once. */
  stop(reason: string): void;
  /** QUIT: serve who is here, then stop. */
  drain(reason: string): void;
}

/**
 * What each signal does. Every one is handled: Node's own answer to USR1 is to open a debugger, and the system's answer
 * to HUP and USR2 is to kill the process.
 */
export function handleSignals(actions: SignalActions, sink: LogSink): () => void {
  const handlers: Partial<Record<NodeJS.Signals, () => void>> = {
    SIGTERM: () => {
      actions.stop('SIGTERM');
    },
    SIGINT: () => {
      actions.stop('SIGINT');
    },
    SIGQUIT: () => {
      actions.drain('SIGQUIT');
    },
    SIGHUP: () => {
      sink.warn('SIGHUP: restart without a lost connection is not in this release: nothing was changed');
    },
    SIGUSR2: () => {
      sink.warn(
        'SIGUSR2: starting a second process beside this one is not in this release: nothing was changed',
      );
    },
    SIGUSR1: () => {
      const { rss, heapUsed } = process.memoryUsage();
      sink.info('SIGUSR1: diagnostics', { rss, heapUsed, uptimeSeconds: Math.round(process.uptime()) });
    },
  };
  const entries = Object.entries(handlers) as [NodeJS.Signals, () => void][];
  for (const [signal, handler] of entries) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of entries) process.off(signal, handler);
  };
}
