import { backoffMs, pause, randomFraction } from '../../src/base/backoff.ts';
import { CodedError } from '../../src/base/errors.ts';
import type { World } from '../../src/base/world.ts';
import { asCoded, faultOf } from './answers.ts';
import { Throttling } from './throttling.ts';

/** What was asked of the table, and how it answered. */
export interface RequestCounters {
  requests: number;
  throttled: number;
  /** How long requests were held up because they were throttled. */
  throttledMs: number;
  /** Requests that were given up because throttling went on. */
  throttledFailures: number;
  retries: number;
  /** Answers to a write that did not come: the log settles them. */
  lostAnswers: number;
  consumedReadUnits: number;
  consumedWriteUnits: number;
}

export interface RequestRules {
  /** An end that is not known may have written: then it is `ambiguous` at once. */
  readonly writing?: boolean;
  /** A write that may be sent again whatever became of it. It is `ambiguous` when the time is over. */
  readonly repeatable?: boolean;
  /** Names of the SDK's errors that the caller takes as they are. */
  readonly pass?: readonly string[];
}

/** Bounds of one wait between two tries; full jitter between nothing and the bound. */
const retry = { baseMs: 25, maxMs: 500 };

/**
 * Sends again what was throttled or not answered, for `periodMs` at most. The SDK's own retries are off,
 * since its three attempts give up where ours go on.
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
   * Until the store is open a refusal is one of the configuration; later it may pass, as credentials are
   * renewed.
   */
  opening = true;
  readonly #periodMs: number;
  readonly #place: string;
  readonly #world: Pick<World, 'randomBytes'>;
  readonly #closed = new AbortController();

  /** `place` is how messages call the table. */
  constructor(options: { periodMs: number; place: string; world: Pick<World, 'randomBytes'> }) {
    this.#periodMs = options.periodMs;
    this.#place = options.place;
    this.#world = options.world;
  }

  /**
   * Throttling wrote nothing and is waited out.
   * @throws CodedError `ambiguous` for a write of which an answer was lost, `unavailable` when the time is
   *   over or we are refused, `misconfigured` when we are refused while opening.
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

  /** What was left undone in an answer that was good: throttled as well. */
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

  /** Ends the pauses; what is under way ends by its own. */
  close(): void {
    this.#closed.abort();
  }

  #refuseIfClosed(lost: boolean): void {
    if (this.#closed.signal.aborted)
      throw new CodedError(lost ? 'ambiguous' : 'unavailable', 'the store is closed');
  }

  /** `lost`: an answer to this write did not come, now or at an earlier try. */
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
