import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { pingCluster } from '../api/operations/cluster.ts';
import { fakeWorld } from '../api/testing.ts';
import { second } from '../base/time.ts';
import { hostStream } from '../domain/streams.ts';
import type { ClusterLog } from '../log/event-log.ts';
import { memoryLog } from '../log/memory-log.ts';
import { guardedLog } from './log/guarded-log.ts';
import { begin, clientAs, fakeTimers, renewals } from './service-testing.ts';
import { authHostId, eventsOf } from './testing.ts';

/** Stops a service with all the time it wants, and knows whether it has stopped. */
function stopping({ running }: Awaited<ReturnType<typeof begin>>) {
  const state = { ended: false };
  const done = running.stop(60_000).then(() => {
    state.ended = true;
  });
  return { state, done };
}

describe('an auth service, every twenty seconds,', () => {
  it('renews that it lives, until it is stopped', async () => {
    fakeTimers();
    const { running, world, log } = await begin();
    const passing = async (ms: number): Promise<void> => {
      world.advance(ms);
      await vi.advanceTimersByTimeAsync(ms);
      for (let n = 0; n < 5; n++) await turn();
    };
    const atFirst = (await renewals(log)).length;
    await passing(19_999);
    expect(await renewals(log)).toHaveLength(atFirst);
    await passing(4_000);
    const [last] = (await renewals(log)).slice(-1);
    expect(await renewals(log)).toHaveLength(atFirst + 1);
    expect(last?.ttlSeconds).toBe(60);
    await running.stop(0);
    const ended = (await renewals(log)).length;
    await passing(60_000);
    expect(await renewals(log)).toHaveLength(ended);
  });

  it('announces another address, once, and logs why it could not', async () => {
    fakeTimers();
    let advertised = () => '10.0.0.1';
    const one = await begin({ config: { advertised: () => advertised() } });
    const joined = async (): Promise<number> =>
      (await eventsOf(one.log, 'state')).filter(({ stream }) => stream === hostStream(authHostId)).length;
    const tick = async (): Promise<void> => {
      await vi.advanceTimersByTimeAsync(20 * second);
      for (let n = 0; n < 10; n++) await turn();
    };
    const atFirst = await joined();
    advertised = () => {
      throw new Error('no interface has an address');
    };
    await tick();
    expect(one.sink.lines).toContainEqual(
      expect.stringMatching(/^error this auth server could not be announced .*no interface has an address/),
    );
    advertised = () => '10.0.0.7';
    await tick();
    await tick();
    expect(await joined()).toBe(atFirst + 1);
    expect(one.sink.lines.filter((line) => line.includes('has another address'))).toHaveLength(1);
    await one.running.stop(0);
  });
});

describe('an auth service that stops', () => {
  it('says that it has left, unless another process succeeds it, and leaves the log to its owner', async () => {
    for (const [succession, left] of [
      ['none', 1],
      ['succeeded', 0],
    ] as const) {
      const { running, log, service } = await begin();
      const stopped = running.stop(0, succession);
      expect(() => service.connectWithin()).toThrow('the auth service of this process has ended');
      await stopped;
      await running.done;
      expect((await renewals(log)).filter(({ ttlSeconds }) => ttlSeconds === 0)).toHaveLength(left);
      expect(await log.state.head()).toBeGreaterThan(0);
    }
  });

  it('leaves no timer behind', async () => {
    fakeTimers();
    const { running, log } = await begin();
    await running.stop(0);
    await log.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('cuts a connection in the middle of its handshake when its time is over', async () => {
    const { running, service } = await begin();
    const greeting = service.connectWithin();
    const done = running.stop(60_000);
    for (let n = 0; n < 5; n++) await turn();
    expect(greeting.destroyed).toBe(false);
    await running.stop(0);
    await done;
    expect(greeting.destroyed).toBe(true);
  });

  it('waits a second for who is idle, and not at all when its log has moved', async () => {
    for (const moved of [false, true]) {
      const world = fakeWorld(new Date().toISOString());
      const plain = guardedLog(memoryLog({ world }), () => undefined);
      let isFenced = false;
      const log: ClusterLog = {
        ...plain,
        stats: () => {
          const stats = plain.stats();
          return isFenced
            ? { ...stats, audit: { ...stats.audit, fence: { to: 'elsewhere' } as never } }
            : stats;
        },
      };
      const one = await begin({ world, log });
      const client = await clientAs(one, 'Proxy');
      await client.call(pingCluster, {});
      isFenced = moved;
      vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
      const { state, done } = stopping(one);
      for (let n = 0; n < 50; n++) await turn();
      expect(state.ended).toBe(moved);
      await vi.advanceTimersByTimeAsync(1_000);
      await done;
      vi.useRealTimers();
    }
  });

  it('knows at once when who came from within has left', async () => {
    const one = await begin();
    one.service.connectWithin().destroy();
    const { state, done } = stopping(one);
    for (let n = 0; n < 200; n++) await turn();
    expect(state.ended).toBe(true);
    await done;
  });
});
