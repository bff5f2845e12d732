import { Observable, type Subscriber } from 'rxjs';
import { backoffMs, pause } from '../base/backoff.ts';
import { type CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { turns } from '../base/turns.ts';
import type { Followed, Partition, Position } from './event.ts';
import type { PartitionReader } from './partition-reader.ts';
import { type News, tooOld } from './reader-options.ts';
import { conditionError } from './reader-condition.ts';
import type { Watch } from './watch.ts';

export interface FollowOptions {
  readonly reader: PartitionReader;
  readonly watch: Watch;
  readonly sink: LogSink;
  readonly partition: Partition;
  /** Aborted when the log is closed: completes every follower. */
  readonly closed: AbortSignal;
}

/**
 * History, page by page from the store, until the reader has reached the newest folded event; from there on
 * each batch as it is folded. A reader a million events behind holds one page. An unavailable store only
 * delays it.
 */
export function follow(options: FollowOptions, after: Position, id?: string): Observable<Followed> {
  return new Observable<Followed>((subscriber) => {
    const follower = new Follower(options, { after, id }, subscriber);
    subscriber.add(() => {
      follower.stop();
    });
    void follower.run();
  });
}

class Follower {
  readonly #options: FollowOptions;
  readonly #subscriber: Subscriber<Followed>;
  readonly #stopped = new AbortController();
  #at: Position;
  /** Id of the event after which it begins; until that was checked. */
  #id: string | undefined;
  #stopListening: (() => void) | undefined;
  #release: (() => void) | undefined;

  constructor(
    options: FollowOptions,
    { after, id }: { readonly after: Position; readonly id: string | undefined },
    subscriber: Subscriber<Followed>,
  ) {
    this.#options = options;
    this.#at = after;
    this.#id = id;
    this.#subscriber = subscriber;
  }

  get position(): Position {
    return this.#at;
  }

  stop(): void {
    this.#stopped.abort();
    this.#stopListening?.();
    this.#release?.();
    this.#options.closed.removeEventListener('abort', this.#complete);
  }

  async run(): Promise<void> {
    const { reader, watch, closed } = this.#options;
    if (closed.aborted) {
      this.#subscriber.complete();
      return;
    }
    closed.addEventListener('abort', this.#complete);
    this.#release = watch.hold(this);
    for (let failures = 0; !this.#over();) {
      try {
        const refusal = await this.#refusal();
        if (refusal !== undefined) {
          this.#subscriber.error(refusal);
          return;
        }
        if (this.#at >= reader.fold.position) {
          this.#stopListening = reader.listen((news) => {
            this.#live(news);
          });
          return;
        }
        await this.#readHistory();
        failures = 0;
      } catch (e) {
        if (!isCoded(e, 'unavailable')) {
          this.#subscriber.error(e);
          return;
        }
        this.#options.sink.warn('a reader of the log waits for the store', { reason: messageOf(e) });
        await pause(backoffMs(++failures, 100, 5_000, 1), this.#stopped.signal);
      }
    }
  }

  /** A position that the log has not reached belongs to another history: the events before it are gone. */
  async #refusal(): Promise<CodedError | undefined> {
    const { reader, partition } = this.#options;
    const { condition } = reader;
    if (condition?.status === 'went back') return conditionError(condition);
    if (this.#at > reader.fold.position) await reader.catchUp();
    if (this.#at > reader.fold.position) return tooOld(partition, this.#at);
    if (this.#id !== undefined && !(await holdsEvent(reader, this.#at, this.#id)))
      return tooOld(partition, this.#at);
    this.#id = undefined;
    return undefined;
  }

  async #readHistory(): Promise<void> {
    const { reader } = this.#options;
    const turn = turns();
    for await (const event of reader.events(this.#at, reader.fold.position)) {
      await turn();
      if (this.#over()) return;
      this.#at = event.position;
      this.#subscriber.next(event);
    }
  }

  #live(news: News): void {
    const { reader, partition } = this.#options;
    if (news === 'trimmed beneath') {
      this.#subscriber.error(tooOld(partition, this.#at));
      return;
    }
    if (news === 'went back') {
      const { condition } = reader;
      this.#subscriber.error(condition ? conditionError(condition) : tooOld(partition, this.#at));
      return;
    }
    for (const event of news.events) {
      if (this.#over()) return;
      if (event.position <= this.#at) continue;
      this.#at = event.position;
      this.#subscriber.next(event);
    }
  }

  readonly #complete = (): void => {
    this.#subscriber.complete();
  };

  #over(): boolean {
    return this.#stopped.signal.aborted || this.#subscriber.closed;
  }
}

/** See `Followable.holds`. */
export async function holdsEvent(reader: PartitionReader, position: Position, id: string): Promise<boolean> {
  if (position === 0) return true;
  if (position > reader.fold.position) await reader.catchUp();
  try {
    for await (const event of reader.events(position - 1, position)) return event.id === id;
    return false;
  } catch (e) {
    if (isCoded(e, 'cursor_too_old')) return true;
    throw e;
  }
}
