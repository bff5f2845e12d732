import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { paced } from './paced.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it('does at once what is asked for once, and the newest of many at its pace', () => {
  const act = vi.fn();
  const one = paced(act, 5_000, () => performance.now());
  one.ask();
  expect(act).toHaveBeenCalledTimes(1);
  for (let ms = 0; ms < 60_000; ms += 100) {
    one.ask();
    vi.advanceTimersByTime(100);
  }
  expect(act).toHaveBeenCalledTimes(13);
});

it('does nothing after it was stopped, and leaves no timer', () => {
  const act = vi.fn();
  const one = paced(act, 5_000, () => performance.now());
  one.ask();
  one.ask();
  one.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(10_000);
  expect(act).toHaveBeenCalledTimes(1);
});
