/** Lets roles pass, except while it is closed. */
export class Turnstile {
  #open: Promise<void> = Promise.resolve();

  /** From here on, roles that come wait; the returned function opens it again. */
  close(): () => void {
    let open: () => void = () => undefined;
    this.#open = new Promise((resolve) => {
      open = resolve;
    });
    return open;
  }

  /** Resolves when it is open; early when `signal` is aborted. */
  async pass(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    let give: () => void = () => undefined;
    const given = new Promise<void>((resolve) => {
      give = resolve;
    });
    signal.addEventListener('abort', give);
    try {
      await Promise.race([this.#open, given]);
    } finally {
      signal.removeEventListener('abort', give);
    }
  }
}
