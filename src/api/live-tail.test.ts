import { Subject } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { silentLog } from '../base/log-sink.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Recorded } from '../log/event.ts';
import { type LiveTail, openTail } from './live-tail.ts';
import type { Who } from './operation.ts';

let live: Subject<Recorded>;
/** Where each following began. */
let begun: number[];
let headOf: () => Promise<number>;
let position = 0;
let tail: LiveTail;
const never = new AbortController().signal;
const eventFor = (type: string, text = ''): void => {
  position++;
  live.next({
    id: `e${position}`,
    stream: 'user-alice',
    revision: position,
    position,
    cause: { at: '2026-01-01T00:00:00.000Z', actor: 'admin', requestId: 'r' },
    fact: { type, data: { text } },
  });
};
/** Sleeps for that audience after what there is now; counts the wake-ups. */
function sleeper(who: Who): { woken: number } {
  const seen = { woken: 0 };
  void tail.changed(position, { who, ms: 2_000, signal: never }).then(() => seen.woken++);
  return seen;
}
/** Whether the log still has the event that the tail saw last. */
let same: boolean;
const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

beforeEach(async () => {
  vi.useFakeTimers();
  position = 0;
  begun = [];
  headOf = () => Promise.resolve(position);
  same = true;
  const log = {
    head: () => headOf(),
    holds: () => Promise.resolve(same),
    follow: (after: number) => {
      begun.push(after);
      return (live = new Subject());
    },
  } as unknown as EventLog;
  tail = await openTail(log, {
    visible: (who, { fact }) => fact.type === 'for.all' || who === 'Proxy',
    sink: silentLog,
    maxBytes: 100_000,
  });
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

  it('is passed over by those it is not for, until something is', async () => {
    sleeper('Node');
    sleeper('Proxy');
    const before = position;
    expect(tail.passOver(before, 'Node')).toBeUndefined();
    eventFor('for.proxies');
    eventFor('for.proxies');
    await settled();
    expect(tail.passOver(before, 'Node')).toEqual({ position, id: `e${position}` });
    expect(tail.passOver(before, 'Proxy')).toBeUndefined();
    const middle = position;
    eventFor('for.all');
    eventFor('for.proxies');
    await settled();
    expect(tail.passOver(middle, 'Node')).toBeUndefined();
    expect(tail.passOver(position - 1, 'Node')).toEqual({ position, id: `e${position}` });
  });

  it('that was there before anybody of its readers is passed over by none of them', async () => {
    eventFor('for.proxies');
    await settled();
    expect(tail.passOver(position - 1, 'Node')).toBeUndefined();
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

/** The positions that are held. */
const held = (): number[] =>
  Array.from({ length: position + 2 }, (_, n) => n).filter((n) => tail.at(n) !== undefined);

describe('what is held', () => {
  it('is nothing while nobody reads, and nothing again when the last has left', () => {
    eventFor('for.all');
    expect(held()).toEqual([]);
    const leave = [tail.hold(), tail.hold()];
    eventFor('for.all');
    eventFor('for.all');
    expect(held()).toEqual([2, 3]);
    leave[0]?.();
    leave[0]?.();
    expect(held()).toEqual([2, 3]);
    leave[1]?.();
    expect([held(), tail.head()]).toEqual([[], 3]);
  });

  it('is bounded by bytes, however large the events are', () => {
    tail.hold();
    for (let n = 0; n < 100; n++) eventFor('for.all', 'x'.repeat(10_000));
    expect(held()).toEqual([97, 98, 99, 100]);
    for (let n = 0; n < 1_000; n++) eventFor('for.all');
    expect(held().length).toBeGreaterThan(100);
    expect(held().length).toBeLessThan(400);
    expect(tail.at(position)?.position).toBe(position);
  });
});

describe('a tail whose log fails', () => {
  const trimmed = new CodedError('cursor_too_old', 'trimmed beneath the reader');

  it('goes on from the head after a trim, and wakes those who have to read what lies between', async () => {
    tail.hold();
    eventFor('for.all');
    const node = sleeper('Node');
    position = 50;
    live.error(trimmed);
    await settled();
    expect([begun, tail.head(), tail.failure(), node.woken, held()]).toEqual([[0, 50], 50, undefined, 1, []]);
    eventFor('for.all');
    expect([tail.head(), held()]).toEqual([51, [51]]);
  });

  it('sends its readers away while it cannot go on, and follows again when it can', async () => {
    const node = sleeper('Node');
    headOf = () => Promise.reject(new CodedError('unavailable', 'the store is away'));
    live.error(trimmed);
    await settled();
    expect([tail.failure()?.code, tail.failure()?.message]).toEqual([
      'unavailable',
      'this auth server cannot follow its log: the store is away',
    ]);
    const late = sleeper('Node');
    await settled();
    expect([node.woken, late.woken]).toEqual([1, 1]);
    headOf = () => Promise.resolve(position);
    await vi.waitFor(() => {
      expect([tail.failure(), begun]).toEqual([undefined, [0, 0]]);
    });
  });

  it('tells those who read a log that has gone back to ask anew', async () => {
    for (let n = 0; n < 5; n++) eventFor('for.all');
    const era = tail.era();
    position = 3;
    live.error(new CodedError('unavailable', 'the store went back'));
    await settled();
    expect([tail.head(), tail.era() === era]).toEqual([3, false]);
  });

  it('tells so where the log has gone on since, past what they had', async () => {
    for (let n = 0; n < 5; n++) eventFor('for.all');
    const era = tail.era();
    position = 9;
    live.error(new CodedError('unavailable', 'x'));
    await settled();
    expect([tail.head(), tail.era() === era]).toEqual([9, true]);
    eventFor('for.all');
    same = false;
    live.error(new CodedError('unavailable', 'the store went back'));
    await settled();
    expect(tail.era() === era).toBe(false);
  });

  it('says so for good when the log is closed', async () => {
    live.complete();
    await settled();
    expect(tail.failure()).toMatchObject({ code: 'unavailable' });
  });
});
