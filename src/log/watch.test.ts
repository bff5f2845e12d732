import { Subject } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CodedError } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { silentLog } from '../base/log-sink.ts';
import type { PartitionReader } from './partition-reader.ts';
import type { SlotDriver } from './slot-driver.ts';
import { Watch } from './watch.ts';

/** A reader whose catching up the test ends by hand. */
function setUp(sink: LogSink = silentLog): {
  watch: Watch;
  hints: Subject<void>;
  started: () => number;
  finish: (e?: Error) => Promise<void>;
} {
  const hints = new Subject<void>();
  let started = 0;
  let current = Promise.withResolvers<undefined>();
  const reader = {
    catchUp: () => {
      started++;
      current = Promise.withResolvers();
      return current.promise;
    },
  } as unknown as PartitionReader;
  const driver = { hints: () => hints } as unknown as SlotDriver;
  return {
    watch: new Watch({ reader, driver, partition: 'state', sink, pollMs: 250 }),
    hints,
    started: () => started,
    finish: async (e) => {
      if (e) current.reject(e);
      else current.resolve(undefined);
      await vi.advanceTimersByTimeAsync(0);
    },
  };
}

describe('watching for new slots', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('reads at once, on a hint, and without one after the poll time', async () => {
    const { watch, hints, started, finish } = setUp();
    watch.hold({ position: 0 });
    expect(started()).toBe(1);
    await finish();
    hints.next();
    expect(started()).toBe(2);
    await finish();
    await vi.advanceTimersByTimeAsync(250);
    expect(started()).toBe(3);
  });

  it('reads once more after hints that came while it read', async () => {
    const { watch, hints, started, finish } = setUp();
    watch.hold({ position: 0 });
    for (let i = 0; i < 5; i++) hints.next();
    expect(started()).toBe(1);
    await finish();
    expect(started()).toBe(2);
    await finish();
    expect(started()).toBe(2);
  });

  it('rests when nobody holds it', async () => {
    const { watch, hints, started, finish } = setUp();
    const release = [watch.hold({ position: 0 }), watch.hold({ position: 0 })];
    await finish();
    release[0]?.();
    hints.next();
    await finish();
    expect(started()).toBe(2);
    release[1]?.();
    hints.next();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(started()).toBe(2);
    watch.hold({ position: 0 });
    expect(started()).toBe(3);
  });

  it('says once that the store is away, and once that it is back', async () => {
    const lines: string[] = [];
    const keep = (message: string): void => void lines.push(message);
    const { watch, finish } = setUp({ ...silentLog, warn: keep, info: keep, error: keep });
    watch.hold({ position: 0 });
    for (let i = 0; i < 3; i++) {
      await finish(new CodedError('unavailable', 'away'));
      await vi.advanceTimersByTimeAsync(250);
    }
    await finish();
    expect(lines).toEqual(['the log cannot be read now: it is tried again', 'the log can be read again']);
  });
});
