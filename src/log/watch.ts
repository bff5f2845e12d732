import type { Subscription } from 'rxjs';
import { isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { startTicker, stopTimer, type Timer } from '../base/timers.ts';
import type { Partition, Position } from './event.ts';
import type { PartitionReader } from './partition-reader.ts';
import type { SlotDriver } from './slot-driver.ts';

/** A follower that waits for news, and its position. */
export interface Watcher {
  readonly position: Position;
}

/**
 * Keeps the fold near the newest slot while somebody follows: on every hint, and every `pollMs` because hints
 * get lost. Neither carries data; both only make the reader read.
 */
export class Watch {
  readonly #reader: PartitionReader;
  readonly #driver: SlotDriver;
  readonly #partition: Partition;
  readonly #sink: LogSink;
  readonly #pollMs: number;
  readonly #watchers = new Set<Watcher>();
  #timer: Timer | undefined;
  #hints: Subscription | undefined;
  #silent = false;
  #reading = false;
  #again = false;

  constructor(parts: {
    reader: PartitionReader;
    driver: SlotDriver;
    partition: Partition;
    sink: LogSink;
    pollMs: number;
  }) {
    this.#reader = parts.reader;
    this.#driver = parts.driver;
    this.#partition = parts.partition;
    this.#sink = parts.sink;
    this.#pollMs = parts.pollMs;
  }

  get watchers(): ReadonlySet<Watcher> {
    return this.#watchers;
  }

  /** Watches until the returned function is called, and as long as other followers need it. */
  hold(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    if (this.#watchers.size === 1) this.#start();
    return () => {
      if (this.#watchers.delete(watcher) && this.#watchers.size === 0) this.#stop();
    };
  }

  #start(): void {
    this.#hints = this.#driver.hints(this.#partition).subscribe({
      next: () => {
        this.#look();
      },
      error: (e: unknown) => {
        this.#sink.warn(
          'the store gives no more hints of new events: they are looked for by the clock alone',
          {
            partition: this.#partition,
            reason: messageOf(e),
          },
        );
      },
    });
    this.#timer = startTicker(() => {
      this.#look();
    }, this.#pollMs);
    this.#timer.unref();
    this.#look();
  }

  #stop(): void {
    stopTimer(this.#timer);
    this.#hints?.unsubscribe();
  }

  /** At most one reading is under way and one more is due, however many hints come. */
  #look(): void {
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = true;
    void this.#read().finally(() => {
      this.#reading = false;
      if (!this.#again) return;
      this.#again = false;
      if (this.#watchers.size > 0) this.#look();
    });
  }

  async #read(): Promise<void> {
    try {
      await this.#reader.catchUp();
      if (this.#silent) this.#sink.info('the log can be read again', { partition: this.#partition });
      this.#silent = false;
    } catch (e) {
      if (this.#watchers.size === 0) return;
      const fields = { partition: this.#partition, reason: messageOf(e) };
      if (!isCoded(e)) this.#sink.error('bug: reading the log failed', fields);
      else if (!this.#silent) this.#sink.warn('the log cannot be read now: it is tried again', fields);
      this.#silent = true;
    }
  }
}
