import { describe, expect, it, vi } from 'vitest';
import { conditionOf } from '../../base/condition.ts';
import { CodedError } from '../../base/errors.ts';
import { silentLog } from '../../base/log-sink.ts';
import type { Running, Service } from '../../base/service.ts';
import { UnfinishedCopy } from '../../log/copy-mark.ts';
import { StoreWentBack } from '../../log/slot-driver.ts';
import { startedPatiently } from './patient-start.ts';

const running: Running = {
  done: Promise.resolve(),
  condition: () => conditionOf({}),
  stop: () => Promise.resolve(),
};
const away = new CodedError('unavailable', 'no peer answers');

/**
 * A service whose starts end like this, each after a second; what was told, and how much time each start had.
 */
function setUp(ends: readonly (Error | undefined)[]): {
  service: Service;
  waits: (string | undefined)[];
  left: number[];
  warnings: string[];
} {
  const [waits, left, warnings]: [(string | undefined)[], number[], string[]] = [[], [], []];
  const queue = [...ends];
  let now = 0;
  const quiet = (): void => undefined;
  const service = startedPatiently(
    'auth',
    (leftMs) => {
      left.push(leftMs);
      return {
        name: 'auth',
        start: () => {
          now += 1_000;
          const end = queue.shift();
          return end ? Promise.reject(end) : Promise.resolve(running);
        },
      };
    },
    {
      withinMs: 3_000,
      clock: () => now,
      pause: (ms) => {
        now += ms;
        return Promise.resolve();
      },
      sink: { debug: quiet, info: quiet, warn: (text) => warnings.push(text), error: quiet },
      waitsFor: (text) => waits.push(text),
    },
  );
  return { service, waits, left, warnings };
}

describe('a start whose store is away', () => {
  it('is tried again, tells what it waits for, once each, and that it waits no more', async () => {
    const { service, waits, left, warnings } = setUp([away, away, undefined]);
    expect(await service.start()).toBe(running);
    expect(left).toEqual([3_000, 1_500, 0]);
    expect(waits).toEqual(['no peer answers', 'no peer answers', undefined]);
    expect(warnings).toEqual(['auth cannot start yet: no peer answers. Retrying']);
  });

  it('is given up when its time is over', async () => {
    const { service, waits } = setUp([away, away, away, away, undefined]);
    await expect(service.start()).rejects.toMatchObject({
      code: 'unavailable',
      message: 'no peer answers (tried for 3 s)',
    });
    expect(waits.at(-1)).toBeUndefined();
  });

  it('is given up when the process ends', async () => {
    const { service, left } = setUp([away, undefined]);
    await expect(service.start(AbortSignal.abort())).rejects.toBe(away);
    expect(left).toHaveLength(1);
  });

  it.each([
    ['what only an operator mends', new CodedError('misconfigured', 'no such peer')],
    ['a copy that has not ended', new UnfinishedCopy('not whole')],
    ['a store that went back', new StoreWentBack('state', 7)],
    ['a bug', new TypeError('no')],
  ])('is not tried again after %s', async (_, e) => {
    const { service, left } = setUp([e, undefined]);
    await expect(service.start()).rejects.toBe(e);
    expect(left).toHaveLength(1);
  });
});

describe('a start that takes long', () => {
  it('is told, and told to be over', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    try {
      const { service, waits, opened } = slow();
      const started = service.start();
      await vi.advanceTimersByTimeAsync(4_900);
      expect(waits).toEqual([]);
      await vi.advanceTimersByTimeAsync(200);
      expect(waits).toEqual(['its log is long, and is being read']);
      opened.resolve(running);
      expect(await started).toBe(running);
      expect(waits.at(-1)).toBeUndefined();
      await vi.advanceTimersByTimeAsync(60_000);
      expect(waits).toHaveLength(2);
    } finally {
      vi.useRealTimers();
    }
  });
});

/** A service whose start lasts until `opened`. */
function slow(): {
  service: Service;
  waits: (string | undefined)[];
  opened: PromiseWithResolvers<Running>;
} {
  const waits: (string | undefined)[] = [];
  const opened = Promise.withResolvers<Running>();
  const service = startedPatiently('auth', () => ({ name: 'auth', start: () => opened.promise }), {
    withinMs: 3_000,
    clock: () => performance.now(),
    pause: () => Promise.resolve(),
    sink: silentLog,
    waitsFor: (text) => waits.push(text),
  });
  return { service, waits, opened };
}
