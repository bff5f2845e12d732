import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { recordingSink } from '../../api/testing.ts';
import { silenceFor, type StoreContact, watchStoreContact } from './store-contact.ts';

const silenceMs = 2_000;
let freshAt = 0;
/** How long the store took for its last answer. */
let slowMs = 0;
let farewells = 0;
let contact: StoreContact;
let sink: ReturnType<typeof recordingSink>;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  freshAt = performance.now();
  slowMs = 0;
  farewells = 0;
  sink = recordingSink();
  contact = watchStoreContact({
    lag: {
      lagMs: () => performance.now() - freshAt,
      silentMs: () => performance.now() - freshAt - slowMs,
      reason: () => 'the store does not answer',
    },
    sink,
    silenceMs,
    monotonic: () => performance.now(),
    onFarewell: () => farewells++,
  });
});
afterEach(() => {
  contact.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('an auth server that hears nothing of its store', () => {
  it('takes calls for two seconds, and holds its followers half a second longer', () => {
    vi.advanceTimersByTime(silenceMs);
    expect(contact.refusal()).toBeUndefined();
    vi.advanceTimersByTime(200);
    expect(contact.refusal()).toBe(
      'serves nobody: it has not heard from its store for 2.2 s (the store does not answer)',
    );
    expect([contact.farewell(), farewells]).toEqual([undefined, 0]);
    vi.advanceTimersByTime(400);
    expect(contact.farewell()).toContain('for 2.6 s');
    expect(farewells).toBe(1);
    expect(contact.ageMs()).toBe(2_600);
  });

  it('ends what waits, once, and nothing that has ended by then', () => {
    const heard: string[] = [];
    const stop = contact.interruption((reason) => heard.push(`over: ${reason}`));
    contact.interruption((reason) => heard.push(reason));
    stop();
    vi.advanceTimersByTime(10_000);
    expect(heard).toEqual([expect.stringContaining('this auth server serves nobody')]);
  });

  it('serves again at once when it does, and says both', () => {
    vi.advanceTimersByTime(5_000);
    freshAt = performance.now();
    expect([contact.refusal(), contact.farewell()]).toEqual([undefined, undefined]);
    vi.advanceTimersByTime(200);
    expect(sink.lines).toEqual([
      expect.stringMatching(/^warn serves nobody.*are sent to other auth servers/),
      expect.stringMatching(/^info this auth server hears from its store again/),
    ]);
  });

  it('serves while the store is slow, and answers', () => {
    slowMs = 1_500;
    vi.advanceTimersByTime(3_000);
    expect([contact.refusal(), contact.farewell()]).toEqual([undefined, undefined]);
    expect(contact.ageMs()).toBe(3_000);
  });

  it('waits longer where an operator allows more lag, and never longer than callers do', () => {
    expect([1, 2, 5, 10, 60].map((seconds) => silenceFor(seconds * 1_000, 'network'))).toEqual([
      1_000, 2_000, 2_000, 4_000, 8_000,
    ]);
    expect(silenceFor(1_000, 'machine')).toBe(8_000);
  });

  it('asks before it judges when it had no turn for long itself', () => {
    // Its own timers stand still for a minute.
    const real = performance.now.bind(performance);
    vi.spyOn(performance, 'now').mockImplementation(() => real() + 60_000);
    vi.advanceTimersByTime(1_000);
    expect(contact.refusal()).toBeUndefined();
    vi.advanceTimersByTime(400);
    expect(contact.refusal()).toContain('serves nobody');
    vi.restoreAllMocks();
  });
});
