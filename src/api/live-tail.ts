import { backoffMs, pause } from '../base/backoff.ts';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { startTimer, stopTimer } from '../base/timers.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Followed, Position, Recorded } from '../log/event.ts';
import { Audience } from './audience.ts';
import type { Who } from './operation.ts';
import { RecentEvents } from './recent-events.ts';

/**
 * The newest events of one partition, read from the store once for all readers. A reader that has fallen
 * behind reads history, at its own pace.
 */
export interface LiveTail {
  /** Position of the newest event seen. */
  head(): Position;
  /**
   * Undefined when it is not held any more, or not here yet. One at a time: nothing is kept for a slow
   * reader.
   */
  at(position: Position): Recorded | undefined;
  /**
   * Where a reader that has come to `after` goes on when all that came since is for others: it looks at none
   * of it. Undefined when something is for it, or nothing came.
   */
  passOver(after: Position, who: Who): { readonly position: Position; readonly id: string } | undefined;
  /** Keeps events while anybody reads: until the returned function is called. */
  hold(): () => void;
  /**
   * Resolves when there is something for `who` after `after`, when `ms` have passed, when the tail fails, or
   * when `signal` is aborted. Events for others wake nobody; and many readers are not woken for each of many
   * events, but for several together.
   */
  changed(after: Position, wait: { who: Who; ms: number; signal: AbortSignal }): Promise<void>;
  /**
   * Why nothing more comes for now: readers should go to another server. It keeps trying, and then this is
   * undefined again.
   */
  failure(): CodedError | undefined;
  /** Wakes every reader: something other than the log has changed. */
  wake(): void;
  /** Changes when the log was found to have gone back: whoever read it before has to ask again. */
  era(): number;
  close(): void;
}

export interface TailOptions {
  readonly visible: (who: Who, event: Recorded) => boolean;
  readonly sink: LogSink;
  /** Of events that are kept. */
  readonly maxBytes?: number;
}

const defaultMaxBytes = 8 * 1024 * 1024;

export async function openTail(log: EventLog, options: TailOptions): Promise<LiveTail> {
  const tail = new Tail(log, options, await log.head());
  void tail.run();
  return tail;
}

class Tail implements LiveTail {
  readonly #log: EventLog;
  readonly #options: TailOptions;
  readonly #recent: RecentEvents;
  readonly #audiences = new Map<Who, Audience>();
  readonly #closed = new AbortController();
  #head: Position;
  #headId: string | undefined;
  #era = 0;
  #readers = 0;
  #failure: CodedError | undefined;

  constructor(log: EventLog, options: TailOptions, head: Position) {
    this.#log = log;
    this.#options = options;
    this.#recent = new RecentEvents(options.maxBytes ?? defaultMaxBytes);
    this.#head = head;
  }

  head(): Position {
    return this.#head;
  }

  at(position: Position): Recorded | undefined {
    return this.#recent.at(position);
  }

  passOver(after: Position, who: Who): { readonly position: Position; readonly id: string } | undefined {
    const isForOthers = this.#head > after && this.#audienceOf(who).newest <= after;
    const [position, id] = [this.#head, this.#headId];
    return isForOthers && id !== undefined ? { position, id } : undefined;
  }

  hold(): () => void {
    let held = true;
    this.#readers++;
    return () => {
      if (!held) return;
      held = false;
      this.#readers--;
      if (this.#readers === 0) this.#recent.clear();
    };
  }

  failure(): CodedError | undefined {
    return this.#failure;
  }

  wake(): void {
    this.#wakeAll();
  }

  era(): number {
    return this.#era;
  }

  changed(
    after: Position,
    { who, ms, signal }: { who: Who; ms: number; signal: AbortSignal },
  ): Promise<void> {
    return new Promise((resolve) => {
      const audience = this.#audienceOf(who);
      const { sleepers } = audience;
      if ((audience.newest > after && !audience.waking()) || signal.aborted || this.#failure) {
        resolve();
        return;
      }
      const wake = (): void => {
        stopTimer(timer);
        sleepers.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const timer = startTimer(wake, ms);
      sleepers.add(wake);
      signal.addEventListener('abort', wake);
    });
  }

  close(): void {
    this.#closed.abort();
    this.#wakeAll();
  }

  /**
   * Follows until it is closed. After a failure it begins again from the head: readers get the events in
   * between from history.
   */
  async run(): Promise<void> {
    const { signal } = this.#closed;
    const over = (): boolean => signal.aborted;
    for (let failures = 0; !over();) {
      try {
        if (failures > 0) await this.#goOn();
        await this.#follow(() => (failures = 0));
        if (over()) return;
        this.#fail('the log was closed');
        return;
      } catch (e) {
        if (over()) return;
        if (!isCoded(e)) this.#options.sink.error('bug: following the log failed', { reason: messageOf(e) });
        // The first failure may be over at once, as after a trim: no reader is sent away for that.
        if (++failures > 1) this.#fail(messageOf(e));
        this.#recent.clear();
        if (failures > 1) await pause(backoffMs(failures - 1, 100, 5_000, 1), signal);
      }
    }
  }

  async #follow(told: () => void): Promise<void> {
    const { promise: ended, resolve, reject } = Promise.withResolvers<unknown>();
    const subscription = this.#log.follow(this.#head, this.#headId).subscribe({
      next: (event) => {
        told();
        this.#take(event);
      },
      error: reject,
      complete: () => {
        resolve(undefined);
      },
    });
    const { signal } = this.#closed;
    signal.addEventListener('abort', resolve);
    try {
      await ended;
    } finally {
      signal.removeEventListener('abort', resolve);
      subscription.unsubscribe();
    }
  }

  #take(event: Followed): void {
    this.#head = event.position;
    this.#headId = event.id;
    if (!event.fact || this.#readers === 0) this.#recent.clear();
    else this.#recent.add(event);
    for (const [who, audience] of this.#audiences) {
      if (event.fact && !this.#options.visible(who, event)) continue;
      audience.newest = this.#head;
      audience.wake();
    }
  }

  async #goOn(): Promise<void> {
    const head = await this.#log.head();
    const id = this.#headId;
    const wentBack = head < this.#head || (id !== undefined && !(await this.#log.holds(this.#head, id)));
    if (this.#failure) this.#options.sink.info('this auth server follows its log again', { position: head });
    if (wentBack) this.#era++;
    this.#failure = undefined;
    if (head !== this.#head || wentBack) this.#headId = undefined;
    this.#head = head;
    for (const audience of this.#audiences.values()) audience.newest = head;
    this.#wakeAll();
  }

  #fail(reason: string): void {
    if (!this.#failure)
      this.#options.sink.warn('this auth server cannot follow its log: readers are sent away', { reason });
    this.#failure = new CodedError('unavailable', `this auth server cannot follow its log: ${reason}`);
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const audience of this.#audiences.values()) audience.wakeNow();
  }

  #audienceOf(who: Who): Audience {
    const known = this.#audiences.get(who);
    if (known !== undefined) return known;
    const made = new Audience(this.#head);
    this.#audiences.set(who, made);
    return made;
  }
}
