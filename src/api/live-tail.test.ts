import { Subject } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { EventLog } from '../log/event-log.ts';
import type { Recorded } from '../log/event.ts';
import { type LiveTail, openTail } from './live-tail.ts';
import type { Who } from './operation.ts';

const live = new Subject<Recorded>();
let position = 0;
let tail: LiveTail;
const never = new AbortController().signal;
const eventFor = (type: string): void => {
  position++;
  live.next({
    id: `e${position}`,
    stream: 'user-alice',
    revision: position,
    position,
    cause: { at: '2026-01-01T00:00:00.000Z', actor: 'admin', requestId: 'r' },
    fact: { type, data: {} },
  });
};
/** Sleeps for that audience after what there is now; counts the wake-ups. */
function sleeper(who: Who): { woken: number } {
  const seen = { woken: 0 };
  void tail.changed(position, { who, ms: 2_000, signal: never }).then(() => seen.woken++);
  return seen;
}
const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

beforeEach(async () => {
  vi.useFakeTimers();
  position = 0;
  const log = { head: () => Promise.resolve(0), follow: () => live } as unknown as EventLog;
  tail = await openTail(log, { visible: (who, { fact }) => fact.type === 'for.all' || who === 'Proxy' });
});
afterEach(() => {
  tail.close();
  vi.useRealTimers();
});

describe('an event on the log', () => {
  it('wakes those it is for and lets the others sleep until it is time for a sign of life', async () => {
    const [proxy, node] = [sleeper('Proxy'), sleeper('Node')];
    await settled();
    eventFor('for.proxies');
    await settled();
    expect([proxy.woken, node.woken]).toEqual([1, 0]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(node.woken).toBe(1);
  });

  it('that came while a reader was busy is answered at once, if it is for that reader', async () => {
    sleeper('Node');
    sleeper('Proxy');
    const before = position;
    eventFor('for.proxies');
    const woken: Who[] = [];
    for (const who of ['Node', 'Proxy'] as const)
      void tail.changed(before, { who, ms: 2_000, signal: never }).then(() => woken.push(who));
    await settled();
    expect(woken).toEqual(['Proxy']);
  });

  it('wakes ten thousand, and those that follow soon wake them together', async () => {
    const first = Array.from({ length: 10_000 }, () => sleeper('Node'));
    eventFor('for.all');
    await settled();
    expect(first.every((one) => one.woken === 1)).toBe(true);
    const again = Array.from({ length: 10_000 }, () => sleeper('Node'));
    for (let n = 0; n < 50; n++) eventFor('for.all');
    // Who comes back late does not slip past the others.
    const late = { woken: 0 };
    void tail.changed(0, { who: 'Node', ms: 2_000, signal: never }).then(() => late.woken++);
    await vi.advanceTimersByTimeAsync(900);
    expect([again.some((one) => one.woken > 0), late.woken]).toEqual([false, 0]);
    await vi.advanceTimersByTimeAsync(200);
    expect([again.every((one) => one.woken === 1), late.woken]).toEqual([true, 1]);
  });

  it('is forgotten with those who no longer wait', async () => {
    const gone = new AbortController();
    const waiting = tail.changed(0, { who: 'Node', ms: 2_000, signal: gone.signal });
    gone.abort();
    await waiting;
    expect(vi.getTimerCount()).toBe(0);
  });
});
