import { backoffMs, pause, randomFraction } from '../../src/base/backoff.ts';
import { CodedError } from '../../src/base/errors.ts';
import type { World } from '../../src/base/world.ts';
import { asCoded, faultOf } from './answers.ts';
import { Throttling } from './throttling.ts';

/** Counts of requests to the table, and of its replies. */
export interface RequestCounters {
  requests: number;
  throttled: number;
  /** How long requests were delayed by throttling. */
  throttledMs: number;
  /** Requests that were abandoned because throttling continued. */
  throttledFailures: number;
  retries: number;
  /** Replies to writes that were lost: the log settles them. */
  lostAnswers: number;
  consumedReadUnits: number;
  consumedWriteUnits: number;
}

export interface RequestRules {
  /** Without a reply it may have written: then it is `ambiguous` at once. */
  readonly writing?: boolean;
  /** A write that may be sent again whatever its outcome. It is `ambiguous` when the time is over. */
  readonly repeatable?: boolean;
  /** Names of the SDK's errors that the caller handles itself. */
  readonly pass?: readonly string[];
}

/** Limits of one wait between two attempts; full jitter between zero and the limit. */
const retry = { baseMs: 25, maxMs: 500 };

/**
 * Repeats requests that were throttled or got no reply, for `periodMs` at most. The SDK's own retries are
 * off, since its three attempts give up where ours continue.
 */
export class Requests {
  readonly counters: RequestCounters = {
    requests: 0,
    throttled: 0,
    throttledMs: 0,
    throttledFailures: 0,
    retries: 0,
    lostAnswers: 0,
    consumedReadUnits: 0,
    consumedWriteUnits: 0,
  };
  readonly throttling = new Throttling(() => performance.now());
  /**
   * Until the store is open a refusal is a fault of the configuration; later it may pass, as credentials are
   * renewed.
   */
  opening = true;
  readonly #periodMs: number;
  readonly #place: string;
  readonly #world: Pick<World, 'randomBytes'>;
  readonly #closed = new AbortController();

  /** `place` is the name of the table in messages. */
  constructor(options: { periodMs: number; place: string; world: Pick<World, 'randomBytes'> }) {
    this.#periodMs = options.periodMs;
    this.#place = options.place;
    this.#world = options.world;
  }

  /**
   * Throttling wrote nothing and is waited out.
   * @throws CodedError `ambiguous` for a write whose reply was lost, `unavailable` when the time is over or
   *   we are refused, `misconfigured` when we are refused while opening.
   */
  async send<T>(act: () => Promise<T>, rules: RequestRules = {}): Promise<T> {
    const { writing = false, pass = [] } = rules;
    const waiting = this.patience();
    let lost = false;
    try {
      for (;;) {
        this.#refuseIfClosed(lost);
        this.counters.requests++;
        try {
          const answer = await act();
          this.throttling.answered(false);
          return answer;
        } catch (e) {
          const fault = faultOf(e, writing);
          const throttled = fault === 'throttled' && !pass.includes((e as Error).name);
          this.throttling.answered(throttled);
          if (throttled) this.counters.throttled++;
          if (pass.includes((e as Error).name)) throw e;
          lost = writing && (lost || fault === 'unknown');
          await this.#orEnd(e, rules, { waiting, lost });
        }
      }
    } finally {
      waiting.over();
    }
  }

  /** A successful reply that left items unprocessed: throttled as well. */
  throttledInPart(): void {
    this.counters.throttled++;
    this.throttling.answered(true);
  }

  /**
   * One undertaking with its deadline. `wait` pauses before the next try, longer each time, and throws
   * `ending` when the deadline would pass; `progress` begins again. `over` is called when it has ended.
   */
  patience(): Patience {
    const { counters } = this;
    let tries = 0;
    let end = performance.now() + this.#periodMs;
    let throttledSince: number | undefined;
    return {
      wait: async (throttled, ending) => {
        if (throttled) throttledSince ??= performance.now();
        const random = randomFraction(this.#world);
        const ms = backoffMs(++tries, retry.baseMs, retry.maxMs, random);
        if (performance.now() + ms >= end) {
          if (throttled) counters.throttledFailures++;
          throw ending(`tried ${tries} times within ${this.#periodMs / 1000} s`);
        }
        counters.retries++;
        await pause(ms, this.#closed.signal);
      },
      progress: () => {
        [tries, end] = [0, performance.now() + this.#periodMs];
      },
      over: () => {
        if (throttledSince !== undefined) counters.throttledMs += performance.now() - throttledSince;
      },
    };
  }

  /** Ends the pauses; requests under way end by themselves. */
  close(): void {
    this.#closed.abort();
  }

  #refuseIfClosed(lost: boolean): void {
    if (this.#closed.signal.aborted)
      throw new CodedError(lost ? 'ambiguous' : 'unavailable', 'the store is closed');
  }

  /** `lost`: a reply to this write was lost, now or at an earlier attempt. */
  async #orEnd(
    e: unknown,
    { writing = false, repeatable = false }: RequestRules,
    { waiting, lost }: { readonly waiting: Patience; readonly lost: boolean },
  ): Promise<void> {
    const fault = faultOf(e, writing);
    const told = asCoded(e, { place: this.#place, writing, opening: this.opening });
    const coded = lost ? new CodedError('ambiguous', told.message, { cause: e }) : told;
    if (writing && fault === 'unknown') this.counters.lostAnswers++;
    if ((lost && !repeatable) || fault === 'refused' || this.#closed.signal.aborted) throw coded;
    await waiting.wait(
      fault === 'throttled',
      (tried) => new CodedError(coded.code, `${coded.message} (${tried})`, { cause: e }),
    );
  }
}

export interface Patience {
  wait(throttled: boolean, ending: (tried: string) => CodedError): Promise<void>;
  progress(): void;
  over(): void;
}
