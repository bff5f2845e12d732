import { messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { Instant } from '../base/time.ts';
import { startTimer, stopTimer, type Timer } from '../base/timers.ts';
import type { World } from '../base/world.ts';

/** What was counted since the last time, for one event in place of many. */
export interface Flood {
  readonly count: number;
  /** When the first of them came. */
  readonly since: Instant;
  /** Where most of them came from. */
  readonly addresses: Readonly<Record<string, number>>;
}

export interface FloodCounterOptions {
  /** Type of the events that would have reported them one by one. */
  readonly about: string;
  /** The longest time from the first counted attempt to the event that reports it. */
  readonly intervalMs: number;
  /** Puts one event into the audit. Rejects when the audit does not accept it. */
  readonly emit: (flood: Flood) => Promise<unknown>;
  readonly world: Pick<World, 'now'>;
  readonly sink: Pick<LogSink, 'warn' | 'error'>;
}

/** Addresses named in one event; the rest is in its count. */
const maxNamed = 20;
/** How many addresses are counted separately. */
const maxTracked = 10_000;

/**
 * Counts attempts in such numbers that they get no event of their own, and reports the number: `intervalMs`
 * after the first of them, even if no more come, and when it is closed. A number that the audit does not
 * accept is kept for the next time.
 */
export class FloodCounter {
  readonly #options: FloodCounterOptions;
  #total = 0;
  #since: Instant = '';
  #of = new Map<string, number>();
  #timer: Timer | undefined;
  #flushing = Promise.resolve();
  #closed = false;

  constructor(options: FloodCounterOptions) {
    this.#options = options;
  }

  count(address: string): void {
    if (this.#total === 0) this.#since = this.#options.world.now();
    this.#add(address, 1);
    this.#total++;
    if (this.#closed) this.#giveUp();
    else this.#arm();
  }

  /** Reports now what is counted. Never rejects. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#flush());
    return this.#flushing;
  }

  /** Reports the rest. What the audit does not accept by then is logged by the process. */
  async close(): Promise<void> {
    await this.flush();
    this.#closed = true;
    stopTimer(this.#timer);
    if (this.#total > 0) this.#giveUp();
  }

  async #flush(): Promise<void> {
    stopTimer(this.#timer);
    this.#timer = undefined;
    if (this.#total === 0) return;
    const [count, since, of] = [this.#total, this.#since, this.#of];
    this.#total = 0;
    this.#of = new Map();
    const most = [...of].sort(([, a], [, b]) => b - a).slice(0, maxNamed);
    const { about, emit, sink } = this.#options;
    try {
      await emit({ count, since, addresses: Object.fromEntries(most) });
    } catch (e) {
      sink.warn('the audit does not take the number of refused attempts yet', {
        about,
        count,
        reason: messageOf(e),
      });
      this.#total += count;
      this.#since = since;
      for (const [address, n] of of) this.#add(address, n);
      this.#arm();
    }
  }

  #add(address: string, n: number): void {
    const before = this.#of.get(address);
    if (before !== undefined || this.#of.size < maxTracked) this.#of.set(address, (before ?? 0) + n);
  }

  #arm(): void {
    this.#timer ??= startTimer(() => void this.flush(), this.#options.intervalMs).unref();
  }

  #giveUp(): void {
    const { about, sink } = this.#options;
    sink.error('the audit did not take the number of refused attempts', { about, count: this.#total });
    this.#total = 0;
    this.#of.clear();
  }
}
