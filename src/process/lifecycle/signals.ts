export interface SignalActions {
  /** TERM, INT: stop at once. */
  stop(reason: string): void;
  /** QUIT: serve the current clients, then stop. */
  drain(reason: string): void;
  /** HUP: start again from what is on disk, then drain. */
  reload(): void;
  /** USR2: start another process from what is on disk beside this one. */
  fork(): void;
  /** USR1: log what the process does now. */
  diagnose(): void;
}

/**
 * What each signal does. Every one is handled: by default Node opens a debugger on USR1, and the system kills
 * the process on HUP and USR2.
 */
export function handleSignals(actions: SignalActions): () => void {
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
      actions.reload();
    },
    SIGUSR2: () => {
      actions.fork();
    },
    SIGUSR1: () => {
      actions.diagnose();
    },
  };
  const entries = Object.entries(handlers) as [NodeJS.Signals, () => void][];
  for (const [signal, handler] of entries) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of entries) process.off(signal, handler);
  };
}
