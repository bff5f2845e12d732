import { BehaviorSubject, type Observable } from 'rxjs';
import type { Running, Service } from '../base/service.ts';

export type ServiceStatus = 'starting' | 'ready' | 'restarting' | 'stopped';

export interface SupervisorOptions {
  /** Wait before restart number `n`, counted from 1 since the service was last ready. */
  backoffMs(n: number): number;
  /** Resolves early when `signal` is aborted. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
  onFailure(service: string, error: unknown): void;
}

/** Starts services in order, restarts those that break, stops them in reverse order. */
export class Supervisor {
  readonly #services: readonly Service[];
  readonly #options: SupervisorOptions;
  readonly #running = new Map<string, Running>();
  readonly #watches: Promise<void>[] = [];
  readonly #status = new BehaviorSubject<ReadonlyMap<string, ServiceStatus>>(new Map());
  readonly #stopping = new AbortController();
  #stopped = false;

  constructor(services: readonly Service[], options: SupervisorOptions) {
    this.#services = services;
    this.#options = options;
  }

  /** Feeds /readyz. */
  get status(): Observable<ReadonlyMap<string, ServiceStatus>> {
    return this.#status;
  }

  /** One line for each service that lacks something now; empty when all is well. */
  troubles(): string[] {
    return [...this.#status.value].flatMap(([name, status]) => {
      if (status !== 'ready') return [`${name}: ${status}`];
      const trouble = this.#running.get(name)?.trouble();
      return trouble === undefined ? [] : [`${name}: ${trouble}`];
    });
  }

  /** Resolves when every service is ready; rejects, having stopped the rest, if one cannot start. */
  async start(): Promise<void> {
    try {
      for (const service of this.#services) await this.#startFirst(service);
    } catch (e) {
      await this.stop(0);
      throw e;
    }
  }

  /** In reverse order, each with up to `graceMs` for those it serves; a service that fails to stop is reported and does not keep the others. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort();
    if (this.#stopped) return;
    this.#stopped = true;
    for (const service of [...this.#services].reverse()) {
      try {
        await this.#running.get(service.name)?.stop(graceMs);
      } catch (e) {
        this.#options.onFailure(service.name, e);
      }
      this.#mark(service, 'stopped');
    }
    await Promise.all(this.#watches);
  }

  async #startFirst(service: Service): Promise<void> {
    this.#mark(service, 'starting');
    const running = await service.start();
    this.#running.set(service.name, running);
    this.#mark(service, 'ready');
    this.#watches.push(this.#watch(service, running));
  }

  async #watch(service: Service, first: Running): Promise<void> {
    for (let running: Running | undefined = first; running !== undefined;) {
      try {
        await running.done;
        return;
      } catch (e) {
        this.#options.onFailure(service.name, e);
      }
      this.#running.delete(service.name);
      running = await this.#restart(service);
    }
  }

  /** Tries until the service is ready; undefined when the supervisor stops meanwhile. */
  async #restart(service: Service): Promise<Running | undefined> {
    this.#mark(service, 'restarting');
    const { signal } = this.#stopping;
    for (let n = 1; ; n++) {
      await this.#options.pause(this.#options.backoffMs(n), signal);
      if (signal.aborted) return undefined;
      try {
        const running = await service.start();
        if (isAborted(signal)) {
          await running.stop(0);
          return undefined;
        }
        this.#running.set(service.name, running);
        this.#mark(service, 'ready');
        return running;
      } catch (e) {
        this.#options.onFailure(service.name, e);
      }
    }
  }

  #mark(service: Service, status: ServiceStatus): void {
    this.#status.next(new Map(this.#status.value).set(service.name, status));
  }
}

/** Asked anew after an await: the type checker would take the earlier answer for granted. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;
