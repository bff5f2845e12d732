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
  withinDeadline(8_000, act, { afterwards: (e) => late.push(e) });
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
      { afterwards: () => undefined, monotonic: () => now },
    );
    await expect(done).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('passes on what fails in time, and tells it to nobody else', async () => {
    late.length = 0;
    await expect(within(() => Promise.reject(new CodedError('not_found', 'x')))).rejects.toThrow('x');
    expect(late).toEqual([]);
  });
});

describe('an interruption', () => {
  let interrupt: (reason: string) => void = () => undefined;
  let stopped = 0;
  const interrupted = <T>(act: (deadline: Deadline) => Promise<T>): Promise<T> =>
    withinDeadline(8_000, act, {
      afterwards: (e) => late.push(e),
      interruptions: [
        (call) => {
          interrupt = call;
          return () => stopped++;
        },
      ],
    });

  it('answers at once that nothing was done, and lets nothing begin from then on', async () => {
    const spent: string[] = [];
    const done = interrupted(async (deadline) => {
      await after(100);
      deadline.begin();
      spent.push('the token');
    });
    interrupt('cut off');
    await expect(done).rejects.toMatchObject({ code: 'unavailable', message: 'cut off', outcome: 'nothing' });
    await vi.advanceTimersByTimeAsync(200);
    expect(spent).toEqual([]);
  });

  it('answers that nobody knows once something was begun, and lets nothing more begin', async () => {
    let beganAgain = false;
    const done = interrupted(async (deadline) => {
      deadline.begin();
      await after(100);
      deadline.begin();
      beganAgain = true;
    });
    interrupt('cut off');
    await expect(done).rejects.toMatchObject({ code: 'unavailable', outcome: 'unknown' });
    await vi.advanceTimersByTimeAsync(200);
    expect(beganAgain).toBe(false);
  });

  it('is not heard any more when all is done', async () => {
    stopped = 0;
    expect(await interrupted(() => Promise.resolve('done'))).toBe('done');
    expect(stopped).toBe(1);
  });
});

describe('what is out of reach', () => {
  const failing = (begin: boolean, e: CodedError): Promise<void> =>
    within((deadline) => {
      if (begin) deadline.begin();
      return Promise.reject(e);
    });

  it('says whether anything was begun', async () => {
    const away = new CodedError('unavailable', 'the store is away');
    await expect(failing(false, away)).rejects.toMatchObject({ message: away.message, outcome: 'nothing' });
    await expect(failing(true, away)).rejects.toMatchObject({ message: away.message, outcome: 'unknown' });
    await expect(failing(true, new CodedError('ambiguous', 'silent'))).rejects.toMatchObject({
      code: 'ambiguous',
      outcome: 'unknown',
    });
    await expect(failing(false, new CodedError('not_found', 'x'))).rejects.toMatchObject({
      outcome: undefined,
    });
  });
});
