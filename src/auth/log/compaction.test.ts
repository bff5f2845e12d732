import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recordingMetrics } from '../../api/testing.ts';
import { minute } from '../../base/time.ts';
import { ArchiveBench } from '../../log/segment-testing.ts';
import { CodedError } from '../../base/errors.ts';
import { openView } from '../../views/open-view.ts';
import { presenceViewBy } from '../../views/presence.ts';
import { type Compaction, startCompaction } from './compaction.ts';
import { authHostId, eventsOf, openTestAuth, type TestAuth } from '../testing.ts';

let auth: TestAuth;
let compaction: Compaction;
beforeEach(async () => {
  auth = await openTestAuth();
  const { log, world, sink, deps } = auth;
  compaction = startCompaction({
    log,
    views: deps.views,
    tellAttempts: () => deps.attemptsTeller.tellBeforeTrim(),
    world,
    sink,
    metrics: recordingMetrics(),
    hostId: authHostId,
  });
});
afterEach(async () => {
  await compaction.close();
  await auth.close();
  await auth.log.close();
});
const renew = async (): Promise<void> => {
  auth.deps.presence.renew({ hostId: '00000000-0000-4000-8000-0000000000b1', role: 'Node' }, 60);
  await auth.deps.views.presence.reached((await auth.deps.presence.flush()) ?? 0);
};

describe('compacting the log', () => {
  it('trims presence after five minutes, and what is left opens a view', async () => {
    for (let i = 0; i < 3; i++) {
      for (let n = 0; n < 80; n++) await renew();
      await compaction.run();
      auth.world.advance(5 * minute);
      await compaction.run();
    }
    await expect(eventsOf(auth.log, 'presence')).rejects.toMatchObject({ code: 'cursor_too_old' });
    const projection = presenceViewBy(auth.deps.views.clock);
    const view = await openView(projection, auth.log.presence);
    await view.reached(await auth.log.presence.head());
    expect(projection.encode(view.state())).toEqual(projection.encode(auth.deps.views.presence.state()));
    view.close();
    await renew();
  });

  it('of presence is done once in five minutes, however many auth servers there are', async () => {
    const { log, world, sink, deps } = auth;
    const others = [1, 2].map(() => {
      const metrics = recordingMetrics();
      return {
        metrics,
        ...startCompaction({
          log,
          views: deps.views,
          tellAttempts: () => deps.attemptsTeller.tellBeforeTrim(),
          world,
          sink,
          metrics,
          hostId: authHostId,
        }),
      };
    });
    // They look at other moments.
    for (let n = 0; n < 60; n++) {
      await renew();
      world.advance(minute / 4);
      await others[n % 2]?.run();
    }
    const taken = others.map(
      ({ metrics }) =>
        metrics.counters.get('log_snapshots_total{"partition":"presence","outcome":"taken"}') ?? 0,
    );
    expect(taken.reduce((a, b) => a + b)).toBeGreaterThanOrEqual(2);
    expect(taken.reduce((a, b) => a + b)).toBeLessThanOrEqual(3);
    for (const other of others) await other.close();
  });

  it('of presence does not wait for a clock that was set back', async () => {
    for (let n = 0; n < 80; n++) await renew();
    auth.world.setClock(-60 * minute);
    auth.world.advance(5 * minute);
    await compaction.run();
    expect(auth.log.stats().presence.eventsSinceSnapshot).toBeLessThan(80);
  });

  it('moves the audit to its archive when that is due, and not before', async () => {
    const { world, sink, deps } = auth;
    const bench = new ArchiveBench(world);
    const log = await bench.open();
    const metrics = recordingMetrics();
    const tellAttempts = () => Promise.resolve();
    const from = { log, views: deps.views, world, sink, metrics, hostId: authHostId };
    const moving = startCompaction({ ...from, tellAttempts });
    const floor = async () => {
      await moving.run();
      return bench.floor();
    };
    await bench.write(log, 'session-a', 100);
    expect([await floor(), log.stats().audit.lastSnapshotAt]).toEqual([1, undefined]);
    await bench.write(log, 'session-a', 200);
    expect(await floor()).toBe(1);
    world.advance(6 * minute);
    expect(await floor()).toBeGreaterThan(100);
    expect(bench.names.length).toBeGreaterThan(1);
    await moving.close();
  });

  it('leaves alone what is not due', async () => {
    await renew();
    await compaction.run();
    expect(auth.log.stats().presence.lastSnapshotAt).toBeUndefined();
    expect(auth.log.stats().state.lastSnapshotAt).toBeUndefined();
  });

  it('says so when it has failed for ten minutes', async () => {
    const { log, world, sink, deps } = auth;
    const broken = {
      ...log,
      stats: () => ({ ...log.stats(), state: { ...log.stats().state, eventsSinceSnapshot: 10_000 } }),
      takeSnapshot: () => Promise.reject(new CodedError('no_space', 'the disk is full')),
    };
    const failing = startCompaction({
      log: broken,
      views: deps.views,
      tellAttempts: () => deps.attemptsTeller.tellBeforeTrim(),
      world,
      sink,
      metrics: recordingMetrics(),
      hostId: authHostId,
    });
    await failing.run();
    expect(failing.trouble()).toBeUndefined();
    world.setClock(-60 * minute);
    world.advance(11 * minute);
    await failing.run();
    expect(failing.trouble()).toMatch(
      /^snapshots of the log fail since 2026-01-01T00:00:00.000Z: \w+: the disk is full$/,
    );
    await failing.close();
  });

  it('of one partition says so although another has good ones, tries again, and tells when it is over', async () => {
    const { log, world, sink, deps } = auth;
    let fault: Error | undefined = new RangeError('Invalid string length');
    let tried = 0;
    const broken: typeof log = {
      ...log,
      takeSnapshot: (...about) => {
        if (about[0] === 'state') tried++;
        return about[0] === 'state' && fault ? Promise.reject(fault) : log.takeSnapshot(...about);
      },
      // The fence of an attempt is on the log, though the attempt fails.
      stats: () => ({
        ...log.stats(),
        state: { ...log.stats().state, eventsSinceSnapshot: tried === 0 ? 10_000 : 0 },
      }),
    };
    const metrics = recordingMetrics();
    const one = startCompaction({
      ...{
        log: broken,
        views: deps.views,
        tellAttempts: () => deps.attemptsTeller.tellBeforeTrim(),
        world,
        sink,
        metrics,
        hostId: authHostId,
      },
    });
    const pass = async (minutes: number): Promise<void> => {
      for (let n = 0; n < minutes; n++) {
        await renew();
        await one.run();
        world.advance(minute);
      }
    };
    await pass(15);
    expect(metrics.counters.get('log_snapshots_total{"partition":"presence","outcome":"taken"}')).toBe(2);
    expect(one.trouble()).toMatch(/^snapshots of the log fail since \S+: state: Invalid string length$/);
    expect(tried).toBe(3);
    fault = undefined;
    await pass(6);
    expect(one.trouble()).toBeUndefined();
    await one.close();
  });

  it('says so when the newest usable snapshot is old, whatever became of the attempts', async () => {
    const { log, world, sink, deps } = auth;
    let [position, looks] = [29_999, 0];
    let snapshots: readonly object[] = [];
    const old = {
      ...log,
      // Another auth server tries, and never comes to its end.
      stats: () => ({ ...log.stats(), state: { ...log.stats().state, position, eventsSinceSnapshot: 5 } }),
      inspect: () => {
        looks++;
        return Promise.resolve({ firstSlot: 1, snapshots, growth: undefined } as never);
      },
    };
    const metrics = recordingMetrics();
    const one = startCompaction({
      ...{
        log: old,
        views: deps.views,
        tellAttempts: () => deps.attemptsTeller.tellBeforeTrim(),
        world,
        sink,
        metrics,
        hostId: authHostId,
      },
    });
    await one.run();
    expect([one.trouble(), looks]).toEqual([undefined, 0]);
    position = 31_000;
    snapshots = [
      { slot: 1, bytes: 1, position: 900, takenAt: undefined, fault: undefined },
      { slot: 2, bytes: 1, position: 30_000, takenAt: undefined, fault: 'cut' },
    ];
    await one.run();
    await one.run();
    expect(looks).toBe(1);
    expect(one.trouble()).toBe(
      'the newest usable snapshot of state is 30100 events old: whoever opens the log reads all of them',
    );
    snapshots = [{ slot: 2, bytes: 1, position: 30_000, takenAt: undefined, fault: undefined }];
    world.advance(5 * minute);
    await one.run();
    expect(one.trouble()).toBeUndefined();
    await one.close();
  });
});
