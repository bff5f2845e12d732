import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Attempt, firstOf } from './hedging.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Attempts that end when they are told to, and which were begun. */
function setUp(count: number): {
  attempts: Attempt<string>[];
  begun: number[];
  end: (n: number, how: string | Error) => void;
} {
  const begun: number[] = [];
  const settle: ((how: string | Error) => void)[] = [];
  const attempts = Array.from({ length: count }, (_, n) => ({
    ask: () =>
      new Promise<string>((resolve, reject) => {
        begun.push(n);
        settle[n] = (how) => {
          if (how instanceof Error) reject(how);
          else resolve(how);
        };
      }),
    failed: (e: unknown) => ((e as Error).message === 'refused' ? (e as Error) : undefined),
  }));
  return { attempts, begun, end: (n, how) => settle[n]?.(how) };
}

describe('asking several', () => {
  it('asks one alone while it answers in time', async () => {
    const { attempts, begun, end } = setUp(3);
    const first = firstOf(attempts, 500);
    await vi.advanceTimersByTimeAsync(499);
    end(0, 'one');
    expect(await first).toEqual({ answer: 'one' });
    await vi.advanceTimersByTimeAsync(2_000);
    expect(begun).toEqual([0]);
  });

  it('asks the next after a while as well, and takes whichever answers first', async () => {
    for (const winner of [0, 1]) {
      const { attempts, begun, end } = setUp(3);
      const first = firstOf(attempts, 500);
      await vi.advanceTimersByTimeAsync(500);
      expect(begun).toEqual([0, 1]);
      end(winner, 'first');
      end(1 - winner, new Error('late'));
      expect(await first).toEqual({ answer: 'first' });
    }
  });

  it('asks the next at once after a failure, and none after a refusal', async () => {
    const { attempts, begun, end } = setUp(3);
    const first = firstOf(attempts, 500);
    const refused = expect(first).rejects.toThrow('refused');
    end(0, new Error('away'));
    await vi.advanceTimersByTimeAsync(0);
    expect(begun).toEqual([0, 1]);
    end(1, new Error('refused'));
    await refused;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(begun).toEqual([0, 1]);
  });

  it('waits for those that were asked, and says when all failed', async () => {
    const { attempts, end } = setUp(2);
    const first = firstOf(attempts, 500);
    await vi.advanceTimersByTimeAsync(500);
    end(1, new Error('away'));
    await vi.advanceTimersByTimeAsync(5_000);
    end(0, new Error('away'));
    expect(await first).toBeUndefined();
    expect(await firstOf([], 500)).toBeUndefined();
  });
});
