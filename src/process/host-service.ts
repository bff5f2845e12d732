import type { Running, Service } from '../base/service.ts';

/** What a service stands on, in the order it was opened; closed in reverse when the service stops. */
export class Closers {
  readonly #closers: (() => Promise<void> | void)[] = [];

  /** Remembers how to close what was just opened. */
  add(close: () => Promise<void> | void): void {
    this.#closers.push(close);
  }

  async closeAll(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
}

/**
 * A service whose parts (identity, connection to auth, audit outbox) can only be made when it starts.
 * What `build` opened is closed after the service stopped, and when its start failed.
 */
export function serviceOf(name: string, build: (closers: Closers) => Promise<Service>): Service {
  return {
    name,
    start: async (): Promise<Running> => {
      const closers = new Closers();
      try {
        const running = await (await build(closers)).start();
        return {
          done: running.done.finally(() => closers.closeAll()),
          trouble: () => running.trouble(),
          diagnostics: () => running.diagnostics?.() ?? {},
          stop: async (graceMs, succession) => {
            await running.stop(graceMs, succession);
            await closers.closeAll();
          },
        };
      } catch (e) {
        await closers.closeAll();
        throw e;
      }
    },
  };
}
