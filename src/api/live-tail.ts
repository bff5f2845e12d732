import type { Subscription } from 'rxjs';
import type { EventLog } from '../log/event-log.ts';
import type { Position, Recorded } from '../log/event.ts';
import type { Who } from './operation.ts';

/**
 * The newest events of one partition, read from the store once for all readers. A reader that has fallen out of it
 * reads history, at its own pace.
 */
export interface LiveTail {
  /** Position of the newest event seen. */
  head(): Position;
  /** What came after `after`; undefined when part of that is no longer here. */
  since(after: Position): readonly Recorded[] | undefined;
  /**
   * Resolves when there is something for `who` after `after`, when `ms` have passed, or when `signal` is aborted. What is
   * for others wakes nobody; and many are not woken for each of many events, but for some of them together.
   */
  changed(after: Position, wait: { who: Who; ms: number; signal: AbortSignal }): Promise<void>;
  close(): void;
}

export interface TailOptions {
  readonly visible: (who: Who, event: Recorded) => boolean;
  readonly maxEvents?: number;
}

/** So many readers are woken in a millisecond, on average: then they take less than half of a processor. */
const wokenPerMs = 10;

/** Readers who see the same. */
class Audience {
  readonly sleepers = new Set<() => void>();
  /** The newest event that they may see. */
  newest: Position;
  #wokenAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(newest: Position) {
    this.newest = newest;
  }

  /** They are about to be woken together: who comes now is woken with them. */
  waking(): boolean {
    return this.#timer !== undefined;
  }

  wake(): void {
    if (this.waking()) return;
    const wait = this.#wokenAt + Math.floor(this.sleepers.size / wokenPerMs) - performance.now();
    if (wait <= 0) this.wakeNow();
    else
      this.#timer = setTimeout(() => {
        this.wakeNow();
      }, wait);
  }

  wakeNow(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#wokenAt = performance.now();
    for (const wake of this.sleepers) wake();
  }
}

export async function openTail(log: EventLog, { visible, maxEvents = 4096 }: TailOptions): Promise<LiveTail> {
  let head = await log.head();
  /** Events `first`, `first`+1, … `head`: positions have no gaps. */
  let recent: Recorded[] = [];
  const audiences = new Map<Who, Audience>();
  const audienceOf = (who: Who): Audience => {
    const known = audiences.get(who);
    if (known !== undefined) return known;
    const made = new Audience(head);
    audiences.set(who, made);
    return made;
  };
  const subscription: Subscription = log.follow(head).subscribe({
    next: (event) => {
      head = event.position;
      if (!event.fact) return;
      recent.push(event);
      if (recent.length >= 2 * maxEvents) recent = recent.slice(-maxEvents);
      for (const [who, audience] of audiences) {
        if (!visible(who, event)) continue;
        audience.newest = head;
        audience.wake();
      }
    },
    // Trimmed beneath us: what is held no longer joins on to what comes. Readers take the log's own answer.
    error: () => {
      recent = [];
    },
  });
  return {
    head: () => head,
    since: (after) => {
      if (after >= head) return [];
      const first = recent[0]?.position;
      return first !== undefined && first <= after + 1 ? recent.slice(after + 1 - first) : undefined;
    },
    changed: (after, { who, ms, signal }) =>
      new Promise((resolve) => {
        const audience = audienceOf(who);
        const { sleepers } = audience;
        if ((audience.newest > after && !audience.waking()) || signal.aborted) {
          resolve();
          return;
        }
        const wake = (): void => {
          clearTimeout(timer);
          sleepers.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        const timer = setTimeout(wake, ms);
        sleepers.add(wake);
        signal.addEventListener('abort', wake);
      }),
    close: () => {
      subscription.unsubscribe();
      for (const audience of audiences.values()) audience.wakeNow();
    },
  };
}
