export interface SignalActions {
  /** TERM, INT: stop at once. */
  stop(reason: string): void;
  /** QUIT: serve who is here, then stop. */
  drain(reason: string): void;
  /** HUP: start anew from what is on disk, then drain. */
  reload(): void;
  /** USR2: start anew beside this process. */
  fork(): void;
  /** USR1: write down what the process does now. */
  diagnose(): void;
}

/**
 * What each signal does. Every one is handled: Node's own answer to USR1 is to open a debugger, and the
 * system's answer to HUP and USR2 is to kill the process.
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
