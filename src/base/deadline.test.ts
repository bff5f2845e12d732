import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CodedError } from './errors.ts';
import { type Deadline, withinDeadline } from './deadline.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const late: unknown[] = [];
const within = <T>(act: (deadline: Deadline) => Promise<T>): Promise<T> =>
  withinDeadline(8_000, act, (e) => late.push(e));
const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('a deadline', () => {
  it('lets through what is done in time', async () => {
    const done = within(async (deadline) => {
      await after(7_999);
      deadline.begin();
      return 'done';
    });
    await vi.advanceTimersByTimeAsync(7_999);
    expect(await done).toBe('done');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('waits for what was begun in time, however long it takes', async () => {
    const done = within(async (deadline) => {
      deadline.begin();
      await after(60_000);
      return 'done';
    });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await done).toBe('done');
  });

  it('answers when nothing was begun, and lets nothing begin from then on', async () => {
    const spent: string[] = [];
    late.length = 0;
    const done = within(async (deadline) => {
      await after(8_001);
      deadline.begin();
      spent.push('the token');
    });
    const refused = expect(done).rejects.toMatchObject({
      code: 'unavailable',
      message: 'the store is too slow: nothing was begun within 8 s, try again',
    });
    await vi.advanceTimersByTimeAsync(8_000);
    await refused;
    await vi.advanceTimersByTimeAsync(1);
    expect(spent).toEqual([]);
    expect(late).toMatchObject([{ code: 'unavailable' }]);
  });

  it('holds also where the process was too busy for its timer', async () => {
    let now = 0;
    const done = withinDeadline(
      8_000,
      async (deadline) => {
        await Promise.resolve();
        now = 9_000;
        deadline.begin();
      },
      () => undefined,
      () => now,
    );
    await expect(done).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('passes on what fails in time, and tells it to nobody else', async () => {
    late.length = 0;
    await expect(within(() => Promise.reject(new CodedError('not_found', 'x')))).rejects.toThrow('x');
    expect(late).toEqual([]);
  });
});
