import { fakeWorld } from '../api/testing.ts';
import { beforeEach, describe, expect, it } from 'vitest';
import { memoryObjects } from '../base/memory-objects.ts';
import { hour } from '../base/time.ts';
import { archiveStream } from './segment-record.ts';
import { ArchiveBench } from './segment-testing.ts';
import type { ClusterLog } from './event-log.ts';
import { copyOfStore, memoryDriver, putBackStore } from './memory-driver.ts';
import type { SlotDriver } from './slot-driver.ts';
import { collect } from './testing.ts';
import { verifyLog } from './verify.ts';

let bench: ArchiveBench;
let log: ClusterLog;
beforeEach(async () => {
  bench = new ArchiveBench(fakeWorld());
  log = await bench.open();
});

describe('what is old in a partition with an archive', () => {
  it('is moved there in segments, and read as before, by its own process and by others', async () => {
    await bench.write(log, 'session-a', 60);
    await bench.write(log, 'session-b', 200);
    const before = await bench.ids(log);
    const bytes = bench.bytesInStore;
    await bench.compactTwice(log);
    const floor = await bench.floor();
    // Of 260 events in 43 hours those of the last 24 stay.
    expect(floor).toBeGreaterThan(100);
    expect(floor).toBeLessThan(130);
    expect(bench.bytesInStore).toBeLessThan(0.7 * bytes);
    expect(bench.names.length).toBeGreaterThan(3);
    const others = await Promise.all([bench.open(), bench.open({ recentBytes: 1 })]);
    for (const one of [log, ...others]) {
      expect((await bench.ids(one)).slice(0, before.length)).toEqual(before);
      expect(await collect(one.audit.read('session-a'))).toHaveLength(60);
      expect(await collect(one.audit.read('session-b', 10))).toHaveLength(190);
      expect(await one.audit.positionBefore('2000-01-01T00:00:00.000Z')).toBe(0);
      expect(one.stats().audit.damage).toBeUndefined();
    }
    const at = await log.audit.positionBefore(
      (await collect(log.audit.history(49)))[0]?.cause.at ?? expect.unreachable(),
    );
    expect(at).toBe(49);
    await bench.write(others[0], 'session-a', 1);
    expect(await log.audit.revision('session-a')).toBe(61);
  });

  it('stays in the store for as long as it is kept, and while a snapshot needs it', async () => {
    await bench.write(log, 'session-a', 30);
    await bench.compactTwice(log);
    expect([await bench.floor(), bench.names]).toEqual([1, []]);
    bench.world.advance(48 * hour);
    await bench.compact(log);
    // The older snapshot is of before all that.
    const floor = await bench.floor();
    expect(floor).toBeGreaterThan(1);
    expect(floor).toBeLessThanOrEqual(32);
  });

  it('is due when there is a quarter more than is kept', async () => {
    expect(await log.archive?.isDue()).toBe(false);
    await bench.write(log, 'session-a', 1);
    bench.world.advance(29 * hour);
    expect(await log.archive?.isDue()).toBe(false);
    bench.world.advance(2 * hour);
    expect(await log.archive?.isDue()).toBe(true);
    await bench.compactTwice(log);
    expect(await log.archive?.isDue()).toBe(false);
  });

  it('is told on the log, segment by segment', async () => {
    await bench.write(log, 'session-a', 300);
    await bench.compactTwice(log);
    const told = await collect(log.state.read(archiveStream('audit')));
    expect(told.map(({ fact: { type } }) => type)).toEqual(bench.names.map(() => 'log.archived'));
    const slots = told.map(({ fact }) => fact.data as { firstSlot: number; slot: number });
    expect(slots[0]?.firstSlot).toBe(1);
    for (const [i, { firstSlot }] of slots.entries())
      if (i > 0) expect(firstSlot).toBe((slots[i - 1]?.slot ?? 0) + 1);
    expect(slots.at(-1)?.slot).toBe((await bench.floor()) - 1);
    expect(await log.archive?.report()).toMatchObject({
      place: 'memory',
      segments: bench.names.length,
      firstSlot: 1,
      lastSlot: slots.at(-1)?.slot,
      fault: undefined,
    });
  });

  it('can open without any snapshot, from the archive on', async () => {
    await bench.write(log, 'session-a', 200);
    await bench.compactTwice(log);
    expect(await bench.floor()).toBeGreaterThan(1);
    const before = await bench.ids(log);
    bench.store.snapshots.clear();
    const again = await bench.open();
    expect(again.stats().audit).toMatchObject({ damage: undefined, position: before.length });
    expect(await bench.ids(again)).toEqual(before);
  });

  it('is not moved out of a store that is damaged there', async () => {
    await bench.write(log, 'session-a', 200);
    await bench.compact(log);
    const slots = bench.store.slots.get('audit');
    const bytes = Buffer.from(slots?.get(5) ?? expect.unreachable());
    bytes[60] = (bytes[60] ?? 0) ^ 1;
    slots?.set(5, bytes);
    await expect(bench.compact(await bench.open({ recentBytes: 1 }))).rejects.toMatchObject({
      code: 'damaged',
    });
    expect(await bench.floor()).toBe(1);
    expect(bench.names).toEqual([]);
  });
});

describe('what is older than the archive is kept', () => {
  it('is deleted there in whole segments, which the log says; the rest is read', async () => {
    const short = { retentionMs: 40 * hour, keptMs: 24 * hour };
    const keeping = await bench.open({
      archive: { objects: memoryObjects(bench.values), ...short, segmentBytes: 8_000 },
    });
    await bench.write(keeping, 'session-gone', 3);
    await bench.write(keeping, 'session-a', 200);
    await bench.compactTwice(keeping);
    const names = bench.names;
    await bench.write(keeping, 'session-b', 100);
    expect(await keeping.archive?.isDue()).toBe(true);
    await bench.compactTwice(keeping);
    expect(bench.names[0]).not.toBe(names[0]);
    const told = await collect(keeping.state.read(archiveStream('audit')));
    const gone = told.findLast(({ fact }) => fact.type === 'log.archive_deleted')?.fact.data as {
      slot: number;
      position: number;
    };
    expect(gone.slot).toBeGreaterThan(0);
    // The log is not searched to its end for what is gone.
    let read = 0;
    const driver = memoryDriver(bench.store);
    const counting: SlotDriver = {
      ...driver,
      read: async function* (...asked) {
        for await (const stored of driver.read(...asked)) {
          read++;
          yield stored;
        }
      },
    };
    const other = await bench.open({ driver: counting, recentBytes: 1 });
    read = 0;
    await expect(collect(other.audit.read('session-gone', 2))).rejects.toMatchObject({
      code: 'cursor_too_old',
    });
    expect(read).toBeLessThan(50);
    for (const one of [keeping, await bench.open()]) {
      expect(await one.archive?.report()).toMatchObject({ firstSlot: gone.slot + 1, fault: undefined });
      const first = await one.audit.positionBefore('2000-01-01T00:00:00.000Z');
      expect(first).toBe(gone.position);
      const left = await collect(one.audit.history(first));
      expect(left[0]?.position).toBe(first + 1);
      expect(await one.audit.revision('session-a')).toBe(200);
      await expect(collect(one.audit.read('session-a'))).rejects.toMatchObject({ code: 'cursor_too_old' });
    }
  });
});

describe('a store that went back', () => {
  it.each(['give back', 'go on'] as const)('is recovered (%s), and verified then', async (step) => {
    await bench.write(log, 'session-a', 200);
    await bench.compact(log);
    const kept = copyOfStore(bench.store);
    await bench.write(log, 'session-b', 200);
    await bench.compactTwice(log);
    expect(await bench.floor()).toBeGreaterThan(200);
    putBackStore(bench.store, kept);
    await expect(log.audit.head()).rejects.toMatchObject({ code: 'unavailable' });
    for (const partition of ['state', 'audit'] as const) await log.recover(partition, step, bench.cause());
    const left = (await collect(log.audit.history(0))).filter(({ stream }) => stream === 'session-b');
    expect(left).toHaveLength(step === 'go on' ? 0 : 200);
    await bench.write(log, 'session-c', 300);
    for (let i = 0; i < 2; i++) {
      const found = await verifyLog(memoryDriver(bench.store), { archive: memoryObjects(bench.values) });
      expect([found.bad, found.findings]).toEqual([undefined, []]);
      await bench.compactTwice(log);
    }
    expect(await bench.ids(await bench.open())).toEqual(await bench.ids(log));
  });

  it('in its audit alone is proved by what it has, not by what was said of the lost branch', async () => {
    await bench.write(log, 'session-a', 200);
    await bench.compact(log);
    const kept = copyOfStore(bench.store);
    await bench.write(log, 'session-b', 200);
    await bench.compactTwice(log);
    const said = new Map(bench.store.slots.get('state'));
    putBackStore(bench.store, kept);
    bench.store.slots.set('state', said);
    const next = await bench.open();
    await bench.write(next, 'session-c', 150);
    const found = await verifyLog(memoryDriver(bench.store), { archive: memoryObjects(bench.values) });
    expect([found.bad, found.findings]).toEqual([undefined, []]);
  });

  it('is not given back what was said of its archive since', async () => {
    await bench.write(log, 'session-a', 200);
    await bench.compact(log);
    const kept = copyOfStore(bench.store);
    await bench.write(log, 'session-b', 200);
    await bench.compactTwice(log);
    expect(await log.state.revision(archiveStream('audit'))).toBeGreaterThan(0);
    putBackStore(bench.store, kept);
    const other = await bench.open();
    const facts = [{ type: 'test.happened', data: {} }];
    await other.state.append([{ stream: 'role-b', expected: 0, facts }], bench.cause());
    const { givenBack } = await log.recover('state', 'give back', bench.cause());
    expect(givenBack.filter(({ stream }) => stream === archiveStream('audit'))).toEqual([]);
    expect(await log.state.revision(archiveStream('audit'))).toBe(0);
  });

  it('and went on otherwise is read by what it then archived', async () => {
    await bench.write(log, 'session-a', 100);
    await bench.compact(log);
    const kept = copyOfStore(bench.store);
    await bench.write(log, 'session-lost', 300);
    await bench.compactTwice(log);
    const lost = bench.names;
    expect(lost.length).toBeGreaterThan(5);
    putBackStore(bench.store, kept);
    const next = await bench.open();
    await bench.write(next, 'session-b', 350);
    await bench.compactTwice(next);
    await bench.compactTwice(next);
    expect(await bench.floor()).toBeGreaterThan(200);
    for (const one of [next, await bench.open()]) {
      const streams = (await collect(one.audit.history(0))).map(({ stream }) => stream);
      expect(streams).not.toContain('session-lost');
      expect(streams.filter((stream) => stream === 'session-b')).toHaveLength(350);
    }
  });
});
