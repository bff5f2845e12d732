import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Silence } from './silence.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('silence', () => {
  const after = async (ms: number): Promise<void> => {
    await vi.advanceTimersByTimeAsync(ms);
    await turn();
  };

  it('is what lasts longer than that without a word, counted from the last one', async () => {
    const silence = new Silence();
    await after(60_000);
    expect(silence.signal.aborted).toBe(false);
    silence.watch(1_000);
    await after(999);
    silence.watch(1_000);
    await after(999);
    silence.watch(5_000);
    await after(4_999);
    expect([silence.signal.aborted, silence.limitMs]).toEqual([false, 5_000]);
    await after(1);
    expect(silence.signal.aborted).toBe(true);
  });

  it('is not what was said while this process was too busy to listen', async () => {
    const silence = new Silence();
    silence.watch(1_000);
    vi.advanceTimersByTime(1_000);
    silence.watch(1_000);
    await turn();
    expect(silence.signal.aborted).toBe(false);
    silence.stop();
    await after(5_000);
    expect([silence.signal.aborted, vi.getTimerCount()]).toEqual([false, 0]);
  });
});
