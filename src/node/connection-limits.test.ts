import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Deadline } from './connection-limits.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('what happens when nothing has happened for a time', () => {
  it('happens once, when the time is over and not before', () => {
    const begun = performance.now();
    const act = vi.fn();
    new Deadline(1_000, () => begun, act);
    vi.advanceTimersByTime(999);
    expect(act).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(act).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(10_000);
    expect(act).toHaveBeenCalledTimes(1);
  });
  it('is put off by whatever happens meanwhile', () => {
    let last = performance.now();
    const act = vi.fn();
    new Deadline(1_000, () => last, act);
    for (let n = 0; n < 5; n++) {
      vi.advanceTimersByTime(700);
      last = performance.now();
    }
    expect(act).not.toHaveBeenCalled();
    vi.advanceTimersByTime(999);
    expect(act).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(act).toHaveBeenCalledTimes(1);
  });
  it('happens at once when the time was over before', async () => {
    const act = vi.fn();
    new Deadline(-5, () => performance.now(), act);
    await vi.advanceTimersByTimeAsync(1);
    expect(act).toHaveBeenCalledTimes(1);
  });
  it('never happens once it is cancelled', () => {
    const begun = performance.now();
    const act = vi.fn();
    new Deadline(1_000, () => begun, act).cancel();
    vi.advanceTimersByTime(10_000);
    expect(act).not.toHaveBeenCalled();
  });
});
