import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { pause } from './backoff.ts';
import { hour, second } from './duration.ts';
import { signalAfter, startTicker, startTimer, stopTimer } from './timers.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/**
 * A fake timer takes any number: the runtime's own is over after one millisecond when it is set to more than
 * 31 bits.
 */
const longestAtOnceMs = 2 ** 31 - 1;
function refuseLongTimers(): void {
  for (const name of ['setTimeout', 'setInterval'] as const) {
    const set = globalThis[name] as (act: () => void, ms: number) => NodeJS.Timeout;
    vi.spyOn(globalThis, name).mockImplementation(((act: () => void, ms: number) =>
      set(act, ms > longestAtOnceMs ? 1 : ms)) as never);
  }
}
beforeEach(refuseLongTimers);
afterEach(() => {
  vi.restoreAllMocks();
});

const times = [1, second, longestAtOnceMs, longestAtOnceMs + 1, 1000 * hour, 876_000 * hour];

describe('a timer', () => {
  it.each(times)('of %d ms comes then, once', (ms) => {
    const act = vi.fn();
    startTimer(act, ms);
    vi.advanceTimersByTime(ms - 1);
    expect(act).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(act).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(3 * ms);
    expect(act).toHaveBeenCalledTimes(1);
  });
  it.each(times)('of %d ms that is stopped never comes, and leaves nothing behind', (ms) => {
    const act = vi.fn();
    const timer = startTimer(act, ms);
    vi.advanceTimersByTime(ms - 1);
    stopTimer(timer);
    timer.stop();
    vi.advanceTimersByTime(2 * ms);
    expect(act).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });
  it('of infinity never comes', () => {
    const act = vi.fn();
    startTimer(act, Number.POSITIVE_INFINITY);
    vi.advanceTimersByTime(876_000 * hour);
    expect(act).not.toHaveBeenCalled();
  });
  it('that is restarted waits all of its time again, also when it had come', () => {
    const act = vi.fn();
    const timer = startTimer(act, 1000 * hour);
    vi.advanceTimersByTime(999 * hour);
    timer.restart();
    vi.advanceTimersByTime(999 * hour);
    expect(act).not.toHaveBeenCalled();
    vi.advanceTimersByTime(hour);
    timer.restart();
    vi.advanceTimersByTime(1000 * hour);
    expect(act).toHaveBeenCalledTimes(2);
  });
  it('does not take what is no number', () => {
    for (const start of [startTimer, startTicker])
      expect(() => start(() => undefined, Number.NaN)).toThrow(RangeError);
    expect(() => signalAfter(Number.NaN)).toThrow(RangeError);
  });
});

describe('a ticker', () => {
  it.each(times)('of %d ms comes each time they are over, until it is stopped', (ms) => {
    const act = vi.fn();
    const ticker = startTicker(act, ms);
    vi.advanceTimersByTime(3 * ms);
    expect(act).toHaveBeenCalledTimes(3);
    ticker.stop();
    vi.advanceTimersByTime(3 * ms);
    expect(act).toHaveBeenCalledTimes(3);
    expect(vi.getTimerCount()).toBe(0);
  });
  it.each(times)('of %d ms can be stopped by what it calls', (ms) => {
    const act = vi.fn(() => {
      ticker.stop();
    });
    const ticker = startTicker(act, ms);
    vi.advanceTimersByTime(3 * ms);
    expect(act).toHaveBeenCalledTimes(1);
  });
});

describe('a pause and a signal', () => {
  it.each(times)('a pause of %d ms ends then', async (ms) => {
    let over = false;
    const pausing = pause(ms).then(() => (over = true));
    await vi.advanceTimersByTimeAsync(ms - 1);
    expect(over).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await pausing;
  });
  it('an aborted pause ends at once, without an error, and leaves no timer and no listener', async () => {
    const stop = new AbortController();
    const remove = vi.spyOn(stop.signal, 'removeEventListener');
    const pausing = pause(1000 * hour, stop.signal);
    stop.abort(new Error('enough'));
    await pausing;
    await pause(1000 * hour, stop.signal);
    expect(vi.getTimerCount()).toBe(0);
    expect(remove).toHaveBeenCalled();
  });
  it('a signal of more than 24.8 days is aborted when they are over', () => {
    const signal = signalAfter(1000 * hour);
    vi.advanceTimersByTime(1000 * hour - 1);
    expect(signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(signal.reason).toMatchObject({ name: 'TimeoutError' });
  });
});
