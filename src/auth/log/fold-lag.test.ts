import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fakeWorld, recordingMetrics } from '../../api/testing.ts';
import { CodedError } from '../../base/errors.ts';
import { silentLog } from '../../base/log-sink.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import { memoryKeyring } from '../../log/keyring.ts';
import { memoryDriver } from '../../log/memory-driver.ts';
import { openLog } from '../../log/open-log.ts';
import { conditionError, damaged } from '../../log/reader-condition.ts';
import type { SlotDriver } from '../../log/slot-driver.ts';
import { watchFoldLag } from './fold-lag.ts';
import { addUser, openTestAuth, tryLogin } from '../testing.ts';

const world = fakeWorld();
/** Reads hang while it is shut. */
class Gate {
  #open: Promise<unknown> = Promise.resolve();
  #release: (value: unknown) => void = () => undefined;
  shut(): void {
    ({ promise: this.#open, resolve: this.#release } = Promise.withResolvers<unknown>());
  }
  open(): void {
    this.#release(undefined);
  }
  before(driver: SlotDriver): SlotDriver {
    const waiting = (): Promise<unknown> => this.#open;
    return {
      ...driver,
      read: async function* (...args) {
        await waiting();
        yield* driver.read(...args);
      },
    };
  }
}

describe('an auth server whose reads of the store hang', () => {
  const gate = new Gate();
  let log: ClusterLog;
  let ms = 0;
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearTimeout', 'clearInterval'] });
    log = await openLog({
      driver: gate.before(memoryDriver()),
      keyring: memoryKeyring(),
      world,
      writer: 'a',
      sink: silentLog,
    });
  });
  afterEach(async () => {
    vi.useRealTimers();
    await log.close();
  });

  it('issues nothing after 5 s, says so, and goes on by itself when they come back', async () => {
    const auth = await openTestAuth({ log, world, secondFactor: 'off', monotonic: () => ms });
    const { lag } = auth.deps;
    await addUser(auth, 'joe', 'correct horse');
    const attempt = { username: 'joe', password: 'correct horse' };
    await tryLogin(auth, attempt);

    gate.shut();
    ms += 5_000;
    const hanging = lag.look();
    expect(lag.trouble()).toBeUndefined();
    ms += 1;
    await lag.look();
    expect(lag.trouble()).toMatch(/issues no certificates.*5\.0 s behind/);
    await expect(tryLogin(auth, attempt)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('issues no certificates') as string,
    });
    expect(auth.sink.lines.at(-1)).toContain('its copy of the log is behind');

    gate.open();
    await hanging;
    // That look began 1 ms ago: what it saw was the store as it stood then.
    expect(lag.lagMs()).toBe(1);
    // But it was heard just now.
    expect(lag.silentMs()).toBe(0);
    expect(lag.trouble()).toBeUndefined();
    await tryLogin(auth, attempt);
    expect(auth.sink.lines.join('\n')).toContain('has caught up');
    await auth.close();
  });

  it('does not let a login hang either, before the limit is reached', async () => {
    const auth = await openTestAuth({ log, world, secondFactor: 'off', monotonic: () => ms });
    gate.shut();
    const login = tryLogin(auth, { username: 'joe', password: 'x' });
    const outcome = expect(login).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('within 5 s') as string,
    });
    await vi.advanceTimersByTimeAsync(5_000);
    await outcome;
    gate.open();
    await auth.close();
  });
});

describe('a look at the store', () => {
  it.each<[string, Error, number]>([
    ['that does not answer', new CodedError('unavailable', 'no peer answers'), 3_000],
    ['that went back', conditionError({ status: 'went back', partition: 'state', slot: 14, head: 12 }), 0],
    ['that is damaged', conditionError(damaged('state', 3, 'x')), 0],
  ])('%s leaves it silent for as long as it said nothing', async (_, failure, silentMs) => {
    let now = 0;
    const lag = watchFoldLag({
      views: { fresh: () => Promise.reject(failure) },
      sink: silentLog,
      metrics: recordingMetrics(),
      limitMs: 5_000,
      monotonic: () => now,
    });
    now = 3_000;
    await lag.look();
    lag.close();
    expect([lag.silentMs(), lag.lagMs()]).toEqual([silentMs, 3_000]);
  });
});
