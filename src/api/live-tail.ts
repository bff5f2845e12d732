import type { Subscription } from 'rxjs';
import type { EventLog } from '../log/event-log.ts';
import type { Position, Recorded } from '../log/event.ts';

/**
 * The newest events of one partition, read from the store once for all readers. A reader that has fallen out of it
 * reads history, at its own pace.
 */
export interface LiveTail {
  /** Position of the newest event seen. */
  head(): Position;
  /** What came after `after`; undefined when part of that is no longer here. */
  since(after: Position): readonly Recorded[] | undefined;
  /** Resolves when there is something after `after`, when `ms` have passed, or when `signal` is aborted. */
  changed(after: Position, ms: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

export async function openTail(log: EventLog, maxEvents = 4096): Promise<LiveTail> {
  let head = await log.head();
  /** Events `first`, `first`+1, … `head`: positions have no gaps. */
  let recent: Recorded[] = [];
  const sleepers = new Set<() => void>();
  const wakeAll = (): void => {
    for (const wake of sleepers) wake();
  };
  const subscription: Subscription = log.follow(head).subscribe({
    next: (event) => {
      head = event.position;
      if (event.fact) recent.push(event);
      if (recent.length >= 2 * maxEvents) recent = recent.slice(-maxEvents);
      wakeAll();
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
    changed: (after, ms, signal) =>
      new Promise((resolve) => {
        if (head > after || signal.aborted) {
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
      wakeAll();
    },
  };
}
