import { CodedError } from '../base/errors.ts';
import type { Running, Service } from '../base/service.ts';
import { startTicker } from '../base/timers.ts';

/** What a service has opened, in order; closed in reverse when the service stops. */
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

/** How often a service that starts is asked what it waits for. */
const askEveryMs = 1_000;

/**
 * A service whose parts (identity, connection to auth, audit outbox) can only be made when it starts. What
 * `build` opened is closed after the service stopped, and when its start failed.
 * @param waitsFor is called with what it waits for once it is built, until it serves; undefined: nothing.
 */
export function serviceOf(
  name: string,
  build: (closers: Closers, stopping: AbortSignal) => Promise<Service>,
  waitsFor: (text: string | undefined) => void = () => undefined,
): Service {
  return {
    name,
    start: async (stopping = new AbortController().signal): Promise<Running> => {
      const closers = new Closers();
      try {
        const running = await startTelling(await build(closers, stopping), stopping, waitsFor);
        return {
          done: running.done.finally(() => closers.closeAll()),
          condition: () => running.condition(),
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

async function startTelling(
  service: Service,
  stopping: AbortSignal,
  waitsFor: (text: string | undefined) => void,
): Promise<Running> {
  const asking = startTicker(() => {
    waitsFor(service.waitsFor?.());
  }, askEveryMs);
  try {
    return await startUntil(service, stopping);
  } finally {
    asking.stop();
    waitsFor(undefined);
  }
}

/** A start may wait for an auth server that never comes: a stop does not wait with it. */
async function startUntil(service: Service, stopping: AbortSignal): Promise<Running> {
  const starting = service.start(stopping);
  let give: () => void = () => undefined;
  const given = new Promise<'given up'>((resolve) => {
    give = () => {
      resolve('given up');
    };
    if (stopping.aborted) give();
    stopping.addEventListener('abort', give);
  });
  try {
    const first = await Promise.race([starting, given]);
    if (first !== 'given up') return first;
    starting.then(
      (late) => late.stop(0),
      () => undefined,
    );
    throw new CodedError('unavailable', `${service.name} was stopped before it served`);
  } finally {
    stopping.removeEventListener('abort', give);
  }
}
