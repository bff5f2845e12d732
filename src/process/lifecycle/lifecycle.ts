import { CodedError, messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { isAlive, type ProcessRef } from '../../base/process-ref.ts';
import type { Successor } from './successor.ts';

/** How a daemon ends. */
export type Ending =
  | { readonly how: 'at-once'; readonly reason: string }
  /** `succeeded`: another generation serves; this one serves its clients until the last has left. */
  | { readonly how: 'drain'; readonly reason: string; readonly succeeded: boolean };

/** The actions that the lifecycle can take. */
export interface LifecycleDeps {
  readonly sink: LogSink;
  /** Why no successor can take over from this process; undefined: one can. Default: one can. */
  readonly standsAlone?: string | undefined;
  /** Starts the daemon again with our listeners; rejects when it does not come to serve. */
  startSuccessor(cancelled: AbortSignal): Promise<Successor>;
  /**
   * Reports to the service manager that a reload began, how it failed, that this process is the main one
   * (again).
   */
  readonly tell: {
    reloading(): void;
    failed(e: unknown): void;
    succeeded(): void;
    main(): void;
  };
  /** Generations of this daemon that are alive and were started before us, or after us. */
  older(): ProcessRef[];
  newer(): ProcessRef[];
  signal(ref: ProcessRef, signal: NodeJS.Signals): void;
}

type State =
  | { readonly status: 'starting' }
  | { readonly status: 'serving' }
  | { readonly status: 'replacing' }
  | { readonly status: 'draining'; readonly successor: ProcessRef | undefined }
  | { readonly status: 'stopping' };

/**
 * What each signal means in each state. One successor is started at a time; one HUP in the meantime is
 * remembered. A HUP to a process that drains is for its successor.
 */
export class Lifecycle {
  readonly #deps: LifecycleDeps;
  #state: State = { status: 'starting' };
  /** Whether every service has come to serve. */
  #served = false;
  /** Whether some service waits for something that may never come. */
  #waits = false;
  #asked: 'reload' | 'fork' | undefined;
  readonly #cancelled = new AbortController();
  #end: (ending: Ending) => void = () => undefined;
  #cut: () => void = () => undefined;
  /** Resolves when this process is to end. */
  readonly ending: Promise<Ending>;
  /** Resolves when it is to end at once, even during a drain. */
  readonly atOnce: Promise<void>;

  constructor(deps: LifecycleDeps) {
    this.#deps = deps;
    this.ending = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.atOnce = new Promise((resolve) => {
      this.#cut = resolve;
    });
  }

  /** Every service serves. A signal that came before takes effect now. */
  serving(): void {
    this.#served = true;
    if (this.#state.status !== 'starting') return;
    this.#state = { status: 'serving' };
    this.#next();
  }

  /**
   * Whether some service waits for another machine. It may wait because of something that an operator has
   * since fixed on disk, so a HUP then takes effect even before everything serves.
   */
  waits(now: boolean): void {
    this.#waits = now;
    this.#next();
  }

  /** The daemon cannot start: a successor that is being started is not left behind. */
  fail(): void {
    this.#cancelled.abort();
  }

  /** TERM, INT. Older generations that still serve clients end as well. */
  stop(reason: string): void {
    if (this.#state.status === 'stopping') return;
    this.#state = { status: 'stopping' };
    this.#cancelled.abort();
    for (const older of this.#deps.older()) this.#deps.signal(older, 'SIGTERM');
    this.#end({ how: 'at-once', reason });
    this.#cut();
  }

  /** QUIT. Before the services are ready (they may wait to join a cluster) it ends at once. */
  drain(reason: string): void {
    if (this.#state.status === 'draining' || this.#state.status === 'stopping') return;
    if (!this.#served) {
      this.#state = { status: 'stopping' };
      this.#cancelled.abort();
      this.#end({ how: 'at-once', reason });
      this.#cut();
      return;
    }
    this.#state = { status: 'draining', successor: undefined };
    this.#cancelled.abort();
    this.#end({ how: 'drain', reason, succeeded: false });
  }

  /** HUP. */
  reload(): void {
    const { sink } = this.#deps;
    if (this.#state.status === 'draining' || this.#state.status === 'stopping') {
      const successor = this.#state.status === 'draining' ? this.#state.successor : undefined;
      if (successor !== undefined && isAlive(successor)) {
        sink.info('SIGHUP: passed on to the process that took over', { pid: successor.pid });
        this.#deps.signal(successor, 'SIGHUP');
      } else sink.info('SIGHUP: nothing is started, this process is ending');
      return;
    }
    if (this.#refusesSuccessor('SIGHUP')) return;
    this.#asked = 'reload';
    if (!this.#next()) sink.info('SIGHUP: remembered until what is under way is finished');
  }

  /** USR2. */
  fork(): void {
    if (this.#state.status === 'draining' || this.#state.status === 'stopping') {
      this.#deps.sink.info('SIGUSR2: nothing is started, this process is ending');
      return;
    }
    if (this.#refusesSuccessor('SIGUSR2')) return;
    this.#asked ??= 'fork';
    this.#next();
  }

  /** The signal then has no other effect. */
  #refusesSuccessor(signal: 'SIGHUP' | 'SIGUSR2'): boolean {
    const { standsAlone, sink, tell } = this.#deps;
    if (standsAlone === undefined) return false;
    const refusal = new CodedError('unavailable', `${signal} is refused: ${standsAlone}`);
    sink.error(refusal.message);
    tell.failed(refusal);
    return true;
  }

  /** Whether the requested action could begin. */
  #next(): boolean {
    const asked = this.#asked;
    if (asked === undefined) return false;
    const { status } = this.#state;
    if (status !== 'serving' && !(status === 'starting' && this.#waits && asked === 'reload')) return false;
    this.#asked = undefined;
    this.#state = { status: 'replacing' };
    void this.#replace(asked);
    return true;
  }

  async #replace(asked: 'reload' | 'fork'): Promise<void> {
    const { sink, tell } = this.#deps;
    sink.info(`${asked === 'reload' ? 'SIGHUP' : 'SIGUSR2'}: starting a new process from what is on disk`);
    tell.reloading();
    try {
      const successor = await this.#deps.startSuccessor(this.#cancelled.signal);
      tell.succeeded();
      sink.info(`Process ${successor.pid} has started.`);
      this.#took(asked, successor);
    } catch (e) {
      sink.error(`the new process does not serve, this one goes on: ${messageOf(e)}`);
      tell.failed(e);
      this.#goOn();
    }
  }

  #took(asked: 'reload' | 'fork', successor: Successor): void {
    if (this.#state.status !== 'replacing') {
      // A TERM or QUIT arrived at the moment it became ready: it was meant for all generations.
      this.#deps.signal(successor, 'SIGTERM');
      return;
    }
    if (asked === 'reload') {
      this.#state = { status: 'draining', successor };
      this.#end({ how: 'drain', reason: 'SIGHUP', succeeded: true });
      // Remembered while it started, because the files on disk may have changed since.
      if (this.#asked === 'reload') this.#deps.signal(successor, 'SIGHUP');
      return;
    }
    void successor.ended.then(() => {
      if (this.#state.status === 'draining' || this.#state.status === 'stopping') return;
      this.#deps.sink.warn(`process ${successor.pid}, which served beside this one, has ended`);
      if (this.#deps.newer().length === 0) this.#deps.tell.main();
    });
    this.#goOn();
  }

  #goOn(): void {
    if (this.#state.status !== 'replacing') return;
    this.#state = { status: this.#served ? 'serving' : 'starting' };
    this.#next();
  }
}
