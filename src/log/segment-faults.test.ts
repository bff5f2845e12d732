import { fakeWorld } from '../api/testing.ts';
import { beforeEach, describe, expect, it } from 'vitest';
import { memoryObjects } from '../base/memory-objects.ts';
import { archiveStream } from './segment-record.ts';
import { ArchiveBench } from './segment-testing.ts';
import type { ClusterLog } from './event-log.ts';
import { copyOfStore, memoryDriver, putBackStore } from './memory-driver.ts';
import type { SlotDriver } from './slot-driver.ts';
import { collect } from './testing.ts';

let bench: ArchiveBench;
let log: ClusterLog;
beforeEach(async () => {
  bench = new ArchiveBench(fakeWorld());
  log = await bench.open();
});

describe('a segment that is not what was written', () => {
  const damage = (name: string): void => {
    const bytes = Buffer.from(bench.values.get(name) ?? expect.unreachable());
    bytes[bytes.length - 5] = (bytes.at(-5) ?? 0) ^ 1;
    bench.values.set(name, bytes);
  };
  beforeEach(async () => {
    await bench.write(log, 'session-a', 300);
    await bench.compactTwice(log);
  });

  it('is named, with its times, by whoever reads it; what is elsewhere is read', async () => {
    const [, second = ''] = bench.names;
    damage(second);
    const other = await bench.open();
    await expect(collect(other.audit.history(0))).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(
        new RegExp(
          `slots \\d+ to \\d+ of audit, from 2026-.*Z to 2026-.*Z, cannot be read: the segment ${second}`,
        ),
      ) as string,
    });
    const { lastSlot } = (await other.archive?.report()) ?? expect.unreachable();
    expect((await bench.ids(other, lastSlot)).length).toBeGreaterThan(100);
    expect(other.stats().audit.damage).toBeUndefined();
  });

  it('is called missing when it is', async () => {
    const [, second = ''] = bench.names;
    bench.values.delete(second);
    const other = await bench.open();
    await expect(collect(other.audit.history(0))).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(/is in no segment in memory: a segment is missing/) as string,
    });
    expect((await other.archive?.report())?.fault).toMatch(/^slots \d+ to \d+ are in no segment$/);
  });

  it('of an archive that has none of them stops the next run', async () => {
    await bench.write(log, 'session-a', 300);
    const empty = await bench.open({}, memoryObjects());
    const floor = await bench.floor();
    await expect(bench.compactTwice(empty)).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringContaining('is it mounted') as string,
    });
    expect(await bench.floor()).toBe(floor);
  });
});

describe('an archive that does not keep what it takes', () => {
  const objects = memoryObjects();
  it.each([
    ['loses it', { ...objects, put: () => Promise.resolve() }],
    ['changes it', { ...objects, put: (name: string) => objects.put(name, Buffer.from('other')) }],
    ['does not list it', { ...objects, list: () => Promise.resolve([]) }],
  ])('%s: nothing leaves the store', async (_, broken) => {
    const other = await bench.open({}, broken);
    await bench.write(other, 'session-a', 300);
    await expect(bench.compactTwice(other)).rejects.toMatchObject({ code: 'unavailable' });
    expect(await bench.floor()).toBe(1);
    expect(await collect(other.state.read(archiveStream('audit')))).toEqual([]);
  });
});

describe('a run that was ended half way', () => {
  /** Ends the process at one of its writes. */
  async function endedAfter(steps: number): Promise<void> {
    let left = steps;
    const step = (): void => {
      if (left-- <= 0) throw new Error('ended');
    };
    const plain = memoryDriver(bench.store);
    const objects = memoryObjects(bench.values);
    const driver: SlotDriver = {
      ...plain,
      append: async (partition, ...rest) => {
        if (partition === 'state') step();
        return plain.append(partition, ...rest);
      },
      trim: async (...rest) => {
        step();
        await plain.trim(...rest);
      },
    };
    const put = async (name: string, value: Uint8Array): Promise<void> => {
      step();
      await objects.put(name, value);
    };
    const dying = await bench.open({ driver, settleMs: 0 }, { ...objects, put });
    await bench.compact(dying).catch(() => undefined);
  }

  it('is taken up by the next, wherever it ended', { timeout: 30_000 }, async () => {
    await bench.write(log, 'session-a', 300);
    await bench.compact(log);
    const before = await bench.ids(log);
    const kept = copyOfStore(bench.store);
    for (let steps = 0; steps < 40; steps++) {
      putBackStore(bench.store, kept);
      bench.values.clear();
      await endedAfter(steps);
      const next = await bench.open();
      await bench.compact(next);
      expect(await bench.floor(), `after ${steps}`).toBeGreaterThan(100);
      expect((await bench.ids(next)).slice(0, before.length)).toEqual(before);
      expect((await next.archive?.report())?.fault).toBeUndefined();
      const told = await collect(next.state.read(archiveStream('audit')));
      expect(told).toHaveLength(new Set(told.map(({ fact }) => JSON.stringify(fact.data))).size);
    }
  });

  it('writes a damaged segment that it left again', async () => {
    await bench.write(log, 'session-a', 300);
    await bench.compact(log);
    await endedAfter(4);
    const [first = ''] = bench.names;
    bench.values.set(first, Buffer.from('half'));
    await bench.compact(await bench.open());
    expect((await bench.ids(await bench.open())).length).toBeGreaterThan(300);
  });

  it('is no harm to another that runs at the same time', async () => {
    await bench.write(log, 'session-a', 300);
    await bench.compact(log);
    const before = await bench.ids(log);
    const others = await Promise.all([bench.open(), bench.open()]);
    const ended = await Promise.allSettled(others.map((one) => bench.compact(one)));
    expect(ended.some(({ status }) => status === 'fulfilled')).toBe(true);
    await bench.compact(await bench.open());
    expect((await bench.ids(await bench.open())).slice(0, before.length)).toEqual(before);
  });
});
