import type { ProcessCalls } from './libc-spawn.ts';
import { endOfWait, type ProgramEnd } from './exit-status.ts';

/**
 * Waits for processes that `ProcessCalls.spawn` has started, and for no others: Node waits for its own in the
 * same way, so that neither takes the other's. Each is waited for as soon as it has ended: none stays a
 * zombie.
 */
export class ChildEnds {
  readonly #calls: Pick<ProcessCalls, 'reap'>;
  readonly #running = new Map<number, (end: ProgramEnd) => void>();

  constructor(calls: Pick<ProcessCalls, 'reap'>) {
    this.#calls = calls;
  }

  /** Starts one by `start`, which returns its pid or throws. `ended` never rejects. */
  watch(start: () => number): { readonly pid: number; readonly ended: Promise<ProgramEnd> } {
    const { promise, resolve } = Promise.withResolvers<ProgramEnd>();
    // Before it starts: it may have ended before the call returns.
    if (this.#running.size === 0) process.on('SIGCHLD', this.#reap);
    try {
      const pid = start();
      this.#running.set(pid, resolve);
      return { pid, ended: promise };
    } finally {
      this.#unlisten();
    }
  }

  /** Several that end at once may be one signal. */
  readonly #reap = (): void => {
    for (const [pid, resolve] of this.#running) {
      const status = this.#calls.reap(pid);
      if (status === undefined) continue;
      this.#running.delete(pid);
      resolve(status === 'lost' ? { status: 'unknown' } : endOfWait(status));
    }
    this.#unlisten();
  };

  #unlisten(): void {
    if (this.#running.size === 0) process.off('SIGCHLD', this.#reap);
  }
}
