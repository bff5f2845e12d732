import { describe, expect, it } from 'vitest';
import { fakeWorld } from '../api/testing.ts';
import { hour, minute, plusMs } from '../base/time.ts';
import { silentLog } from '../base/log-sink.ts';
import type { Recorded } from './event.ts';
import { type Growth, growthOf, outlookOf, perDay } from './growth.ts';
import { memoryKeyring } from './keyring.ts';
import { memoryDriver, memoryStore } from './memory-driver.ts';
import { openLog } from './open-log.ts';
import type { SlotDriver } from './slot-driver.ts';
import { eventsInPart } from './term-chapter.ts';
import { termsFolder } from './terms-folder.ts';

const world = fakeWorld();
const setUp = async () => {
  const driver = memoryDriver(memoryStore());
  const log = await openLog({ driver, keyring: memoryKeyring(), world, writer: 'w', sink: silentLog });
  let n = 0;
  /** One event of some size, each time this much later. */
  const write = async (count: number, apartMs: number, size = 1_000): Promise<void> => {
    for (let i = 0; i < count; i++) {
      world.advance(apartMs);
      const facts = [{ type: 'test.happened', data: { text: 'x'.repeat(size) } }];
      const cause = { at: world.now(), actor: 'admin', requestId: 'r' };
      await log.audit.append([{ stream: `a-${n++}`, expected: 0, facts }], cause);
    }
  };
  return { driver, log, write, growth: () => growthOf(driver, 'audit', { now: world.now() }) };
};
const stored = async (driver: SlotDriver, after = 0): Promise<number> => {
  let bytes = 0;
  for await (const { slot, batch } of driver.read('audit', 1)) if (slot > after) bytes += batch.length;
  return bytes;
};

describe('how a partition grows', () => {
  it('is what was appended in the last 24 hours, exactly while that are few slots', async () => {
    const { driver, write, growth } = await setUp();
    await write(40, hour);
    // The first of those within the window: 24 were written since then, the one at its very edge among them.
    const expected = await stored(driver, 15);
    expect(await growth()).toEqual({
      from: plusMs(world.now(), -24 * hour),
      until: world.now(),
      events: 25,
      bytes: expected,
      measured: 'whole',
    });
  });

  it('of a young log is measured since it began, and not known in its first hour', async () => {
    const { write, growth } = await setUp();
    expect(await growth()).toBeUndefined();
    await write(5, 10 * minute);
    expect(await growth()).toBeUndefined();
    world.advance(2 * hour);
    expect(await growth()).toMatchObject({ events: 5, from: plusMs(world.now(), -2 * hour - 40 * minute) });
  });

  it('is nothing where nothing was written for a day', async () => {
    const { write, growth } = await setUp();
    await write(5, minute);
    world.advance(30 * hour);
    expect(await growth()).toMatchObject({ events: 0, bytes: 0 });
  });

  it('of many slots is estimated by reading few of them, wherever they lie', async () => {
    const { driver, write } = await setUp();
    await write(400, 10_000, 100);
    await write(400, 10_000, 900);
    let read = 0;
    const counting: Pick<SlotDriver, 'read' | 'bounds' | 'snapshots'> = {
      snapshots: driver.snapshots,
      bounds: (partition) => driver.bounds(partition),
      read: async function* (...args) {
        for await (const one of driver.read(...args)) {
          read++;
          yield one;
        }
      },
    };
    const found = await growthOf(counting, 'audit', { now: world.now() });
    expect(found).toMatchObject({ measured: 'sampled', events: 800 });
    const real = await stored(driver);
    expect(Math.abs((found?.bytes ?? 0) - real) / real).toBeLessThan(0.05);
    expect(read).toBeLessThan(700);
  });
});

describe('a partition that goes into an archive', () => {
  const terms = { name: 'happened.1', of: ({ position }: Recorded) => [`${position}`] };
  it('grows by its index alone when it has what it keeps, and not by that where it is deleted', async () => {
    const { driver, log } = await setUp();
    for (let at = 0; at < 3 * eventsInPart; at += 256) {
      world.advance(30 * minute);
      const facts = Array.from({ length: 256 }, () => ({ type: 'test.happened', data: {} }));
      const cause = { at: world.now(), actor: 'admin', requestId: 'r' };
      await log.audit.append([{ stream: `a-${at}`, expected: 0, facts }], cause);
    }
    while ((await log.audit.indexTerms(terms)).isBehind);
    const [key = ''] = await driver.snapshots.list(termsFolder('audit'));
    const perEvent = ((await driver.snapshots.get(key))?.length ?? 0) / (3 * eventsInPart);
    expect(perEvent).toBeGreaterThan(1);
    const now = world.now();
    const of = (retentionMs: number | undefined) =>
      growthOf(driver, 'audit', { now, archive: { keptMs: 20 * hour, retentionMs } });
    const forEver = await of(undefined);
    expect(forEver).toMatchObject({ keptMs: 20 * hour, since: expect.any(String) as string });
    expect(forEver?.indexBytes).toBe(Math.round(perEvent * (forEver?.events ?? 0)));
    expect(await of(40 * hour)).toMatchObject({ keptMs: 20 * hour, indexBytes: 0 });
  });
});

describe('how long a store lasts', () => {
  const growth = (bytes: number, hours: number): Growth => ({
    from: '2026-01-01T00:00:00.000Z',
    until: plusMs('2026-01-01T00:00:00.000Z', hours * hour),
    events: 1,
    bytes,
    measured: 'whole',
  });
  const disk = { status: 'known', freeBytes: 100_000, of: 'disk' } as const;

  it('is what is left by what is kept of a day', () => {
    expect(perDay(growth(100, 12))).toBe(200);
    expect(outlookOf(disk, [growth(500, 24), growth(250, 12)])).toEqual({
      status: 'lasts',
      freeBytes: 100_000,
      of: 'disk',
      bytesPerDay: 1_000,
      days: 100,
    });
    expect(outlookOf(disk, [growth(0, 24)])).toMatchObject({ status: 'lasts', days: undefined });
  });
  it('counts a partition that goes into an archive until as much goes there as comes', () => {
    const begun = '2026-01-01T00:00:00.000Z';
    const archived = (bytes: number, keptDays: number): Growth => ({
      ...growth(bytes, 24),
      keptMs: keptDays * 24 * hour,
      since: begun,
    });
    // It has what it keeps: only the other grows.
    const steady = outlookOf(disk, [growth(1_000, 24), archived(50_000, 1)]);
    expect(steady).toMatchObject({ bytesPerDay: 1_000, days: 100 });
    // A day and a quarter more of it, as it is moved, and then the other alone.
    expect(outlookOf(disk, [growth(1_000, 24), archived(50_000, 2)])).toMatchObject({ days: 37.5 });
    // Full before that.
    expect(outlookOf(disk, [growth(0, 24), archived(50_000, 10)])).toMatchObject({ days: 2 });
    expect(outlookOf(disk, [growth(0, 24), archived(50_000, 2)])).toMatchObject({ days: undefined });
    // Its index stays when it went.
    const indexed = { ...archived(50_000, 1), indexBytes: 500 };
    expect(outlookOf(disk, [growth(500, 24), indexed])).toMatchObject({ bytesPerDay: 1_000, days: 100 });
    expect(outlookOf(disk, [growth(0, 24), { ...indexed, indexBytes: 0 }])).toMatchObject({
      bytesPerDay: 0,
      days: undefined,
    });
  });
  it('is not known where either is not', () => {
    expect(outlookOf(disk, [growth(500, 24), undefined])).toMatchObject({ status: 'not known' });
    expect(outlookOf({ status: 'not known' }, [growth(500, 24)])).toMatchObject({ status: 'not known' });
    expect(outlookOf({ status: 'without end' }, [undefined])).toEqual({ status: 'without end' });
  });
});
