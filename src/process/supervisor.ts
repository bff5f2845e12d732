import { BehaviorSubject, type Observable } from 'rxjs';
import type { Running, Service, Succession } from '../base/service.ts';

export type ServiceStatus = 'starting' | 'ready' | 'restarting' | 'stopped';

export interface SupervisorOptions {
  /** Wait before restart number `n`, counted from 1 since the service was last ready. */
  backoffMs(n: number): number;
  /** Resolves early when `signal` is aborted. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
  onFailure(service: string, error: unknown): void;
  /**
   * Services that others of this process stand on: started before those, in order, and stopped after them. The others
   * then start at the same time; without foundations each stands on those before it.
   */
  readonly foundations?: ReadonlySet<string>;
}

/** Starts services in order, restarts those that break, stops them in reverse order. */
export class Supervisor {
  readonly #services: readonly Service[];
  readonly #options: SupervisorOptions;
  readonly #running = new Map<string, Running>();
  readonly #watches: Promise<void>[] = [];
  readonly #status = new BehaviorSubject<ReadonlyMap<string, ServiceStatus>>(new Map());
  readonly #stopping = new AbortController();
  #stopped: Promise<void> | undefined;

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

  /** One line for each service that lacks nothing and has something to say all the same. */
  notices(): string[] {
    return [...this.#running].flatMap(([name, running]) => {
      const notice = running.notice?.();
      return notice === undefined ? [] : [`${name}: ${notice}`];
    });
  }

  /** What each service that runs says of itself. */
  diagnostics(): ReadonlyMap<string, Record<string, unknown>> {
    return new Map([...this.#running].map(([name, running]) => [name, running.diagnostics?.() ?? {}]));
  }

  /** Resolves when every service is ready; rejects, having stopped the rest, if one cannot start. */
  async start(): Promise<void> {
    let starting: Promise<void>[] = [];
    try {
      const { foundations } = this.#options;
      const free = this.#services.filter(({ name }) => foundations !== undefined && !foundations.has(name));
      for (const service of this.#services) if (!free.includes(service)) await this.#startFirst(service);
      // One may have to wait for something the others do not need.
      starting = free.map((service) => this.#startFirst(service));
      await Promise.all(starting);
    } catch (e) {
      // Who stops it gives those who are served already the time they are to have.
      if (!this.stopping) await this.stop(0);
      await Promise.allSettled(starting);
      throw e;
    }
  }

  /** Whether it was told to stop. */
  get stopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /**
   * Each with up to `graceMs` for those it serves; all at once, but for foundations, which follow in reverse order unless
   * a successor has taken their place. A service that fails to stop is reported and does not keep the others.
   */
  stop(graceMs: number, succession: Succession = 'none'): Promise<void> {
    this.#stopping.abort();
    if (this.#stopped !== undefined) {
      // Again, with less time: those who wait for their clients are told.
      for (const running of this.#running.values())
        void running.stop(graceMs, succession).catch(() => undefined);
      return this.#stopped;
    }
    this.#stopped = this.#stopAll(graceMs, succession);
    return this.#stopped;
  }

  async #stopAll(graceMs: number, succession: Succession): Promise<void> {
    const { foundations = new Set() } = this.#options;
    const last = succession === 'succeeded' ? [] : this.#services.filter(({ name }) => foundations.has(name));
    const first = this.#services.filter((service) => !last.includes(service));
    await Promise.all(first.map((service) => this.#stopOne(service, graceMs, succession)));
    for (const service of last.reverse()) await this.#stopOne(service, graceMs, succession);
    await Promise.all(this.#watches);
  }

  async #stopOne(service: Service, graceMs: number, succession: Succession): Promise<void> {
    try {
      await this.#running.get(service.name)?.stop(graceMs, succession);
    } catch (e) {
      this.#options.onFailure(service.name, e);
    }
    this.#mark(service, 'stopped');
  }

  async #startFirst(service: Service): Promise<void> {
    this.#mark(service, 'starting');
    const { signal } = this.#stopping;
    const running = await service.start(signal);
    // Another could not start meanwhile.
    if (isAborted(signal)) {
      await running.stop(0);
      this.#mark(service, 'stopped');
      return;
    }
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
        const running = await service.start(this.#stopping.signal);
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
