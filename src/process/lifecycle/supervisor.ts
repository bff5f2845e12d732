import { BehaviorSubject, type Observable } from 'rxjs';
import { map } from 'rxjs/operators';
import type { Condition } from '../../base/condition.ts';
import { messageOf } from '../../base/errors.ts';
import type { Running, Service, Succession } from '../../base/service.ts';

/** The state of a service: while it runs, as it reports itself. */
export type ServiceState = { readonly status: 'starting' } | Condition;

/** The phase of a service's life; `restarting` contains the reason. */
type Phase =
  | { readonly status: 'starting' | 'ready' | 'stopped' }
  | { readonly status: 'restarting'; readonly reason: string };
export type ServiceStatus = Phase['status'];

export interface SupervisorOptions {
  /** Wait before restart number `n`, counted from 1 since the service was last ready. */
  backoffMs(n: number): number;
  /** Resolves early when `signal` is aborted. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
  onFailure(service: string, error: unknown): void;
  /**
   * Services that others of this process depend on: started before those, in order, and stopped after them.
   * The others then start at the same time; without foundations each depends on those before it.
   */
  readonly foundations?: ReadonlySet<string>;
}

/** Starts services in order, restarts those that break, stops them in reverse order. */
export class Supervisor {
  readonly #services: readonly Service[];
  readonly #options: SupervisorOptions;
  readonly #running = new Map<string, Running>();
  readonly #watches: Promise<void>[] = [];
  readonly #phases = new BehaviorSubject<ReadonlyMap<string, Phase>>(new Map());
  readonly #stopping = new AbortController();
  #stopped: Promise<void> | undefined;

  constructor(services: readonly Service[], options: SupervisorOptions) {
    this.#services = services;
    this.#options = options;
  }

  /** The phase of each service. */
  get status(): Observable<ReadonlyMap<string, ServiceStatus>> {
    return this.#phases.pipe(map((all) => new Map([...all].map(([name, { status }]) => [name, status]))));
  }

  /** Every service, in the order they start, including those not started yet. Feeds `/readyz`. */
  states(): ReadonlyMap<string, ServiceState> {
    return new Map(this.#services.map(({ name }) => [name, this.#stateOf(name)]));
  }

  #stateOf(name: string): ServiceState {
    const phase = this.#phases.value.get(name) ?? { status: 'starting' };
    switch (phase.status) {
      case 'starting':
        return { status: 'starting' };
      case 'restarting':
        return { status: 'not serving', reason: `it broke and is started again: ${phase.reason}` };
      case 'stopped':
        return { status: 'not serving', reason: 'it is stopped' };
      case 'ready':
        return this.#running.get(name)?.condition() ?? { status: 'not serving', reason: 'it is ending' };
    }
  }

  /** What each running service reports about itself. */
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
      // Whoever stops it gives current clients the time they should have.
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
   * Stops each service, with up to `graceMs` for its clients; all at once, except for foundations, which
   * follow in reverse order unless a successor has taken their place. A service that fails to stop is
   * reported and does not delay the others.
   */
  stop(graceMs: number, succession: Succession = 'none'): Promise<void> {
    this.#stopping.abort();
    if (this.#stopped !== undefined) {
      // Again, with less time: services that wait for their clients are informed.
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
    this.#mark(service, { status: 'stopped' });
  }

  async #startFirst(service: Service): Promise<void> {
    this.#mark(service, { status: 'starting' });
    const { signal } = this.#stopping;
    const running = await service.start(signal);
    // Another service failed to start in the meantime.
    if (isAborted(signal)) {
      await running.stop(0);
      this.#mark(service, { status: 'stopped' });
      return;
    }
    this.#running.set(service.name, running);
    this.#mark(service, { status: 'ready' });
    this.#watches.push(this.#watch(service, running));
  }

  async #watch(service: Service, first: Running): Promise<void> {
    for (let running: Running | undefined = first; running !== undefined;) {
      let failure: unknown;
      try {
        await running.done;
        return;
      } catch (e) {
        failure = e;
        this.#options.onFailure(service.name, e);
      }
      this.#running.delete(service.name);
      running = await this.#restart(service, failure);
    }
  }

  /** Tries until the service is ready; undefined when the supervisor stops in the meantime. */
  async #restart(service: Service, failure: unknown): Promise<Running | undefined> {
    this.#mark(service, { status: 'restarting', reason: messageOf(failure) });
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
        this.#mark(service, { status: 'ready' });
        return running;
      } catch (e) {
        this.#options.onFailure(service.name, e);
        this.#mark(service, { status: 'restarting', reason: messageOf(e) });
      }
    }
  }

  #mark(service: Service, phase: Phase): void {
    this.#phases.next(new Map(this.#phases.value).set(service.name, phase));
  }
}

/** A function, because after an await the type checker would reuse the earlier result. */
const isAborted = (signal: AbortSignal): boolean => signal.aborted;
