import { fakeWorld } from '../api/testing.ts';
import { beforeEach, describe, expect, it } from 'vitest';
import { CodedError, isCoded } from '../base/errors.ts';
import { memoryObjects } from '../base/memory-objects.ts';
import type { ObjectStore } from '../base/object-store.ts';
import { earliest, hour, plusMs } from '../base/time.ts';
import type { World } from '../base/world.ts';
import { ArchiveBench } from './segment-testing.ts';
import { archiveStream } from './segment-record.ts';
import type { ClusterLog } from './event-log.ts';
import { copyOfStore, memoryDriver, putBackStore } from './memory-driver.ts';
import { collect } from './testing.ts';
import { verifyLog } from './verify.ts';

let bench: ArchiveBench;
let log: ClusterLog;
beforeEach(async () => {
  bench = new ArchiveBench(fakeWorld());
  log = await bench.open();
});

/** The clock of a machine that is so much ahead. */
const ahead = (world: World, ms: number): World => ({ ...world, now: () => plusMs(world.now(), ms) });

/** What is wrong, with the archive and without it. */
async function wrongWith({ store, values }: ArchiveBench): Promise<unknown[]> {
  const found = [
    await verifyLog(memoryDriver(store), { archive: memoryObjects(values) }),
    await verifyLog(memoryDriver(store)),
  ];
  return found.flatMap(({ bad, findings }) => [...(bad ? [bad] : []), ...findings]);
}

describe('two auth servers that move at once, with clocks that differ', () => {
  /** Before its `nth` write to the archive, or its `nth` fact of it, another process does all of its own. */
  const cases = [1, 2, 3, 4].flatMap((nth) =>
    [-6, 6].flatMap((hours) => (['put', 'list', 'tell'] as const).map((at) => ({ nth, hours, at }))),
  );
  it.each(cases)('lose nothing: $hours h, at $at $nth', async ({ nth, hours, at }) => {
    await bench.write(log, 'session-a', 300);
    await bench.compact(log);
    const before = await bench.ids(log);
    const other = await bench.open({ world: ahead(bench.world, hours * hour) });
    let calls = 0;
    const interrupt = async (): Promise<void> => {
      if (++calls !== nth) return;
      await bench.compactTwice(other);
    };
    const plain = memoryObjects(bench.values);
    const objects: ObjectStore = {
      ...plain,
      put: async (...put) => {
        if (at === 'put') await interrupt();
        await plain.put(...put);
      },
      list: async (...list) => {
        const listed = await plain.list(...list);
        if (at === 'list') await interrupt();
        return listed;
      },
    };
    const driver = memoryDriver(bench.store);
    const telling = {
      ...driver,
      append: async (...append: Parameters<typeof driver.append>) => {
        if (at === 'tell' && append[0] === 'state') await interrupt();
        return driver.append(...append);
      },
    };
    const one = await bench.open({ driver: telling }, objects);
    await bench.compact(one);
    expect(calls).toBeGreaterThanOrEqual(nth);
    const check = async (): Promise<void> => {
      expect(await wrongWith(bench)).toEqual([]);
      for (const each of [one, other, await bench.open()]) {
        expect((await bench.ids(each)).slice(0, before.length)).toEqual(before);
        expect((await each.archive?.report())?.fault).toBeUndefined();
      }
    };
    await check();
    await bench.write(one, 'session-b', 100);
    for (const each of [other, one]) await bench.compactTwice(each);
    await check();
  });
});

describe('an archive in which another cluster has its own', () => {
  const times = { keptMs: 24 * hour, retentionMs: 40 * hour };

  it('loses nothing of that when one of them deletes what is old', async () => {
    const stranger = new ArchiveBench(bench.world);
    const [own, strange] = [
      await bench.open({}, undefined, times),
      await stranger.open({}, memoryObjects(bench.values)),
    ];
    // Both began at once, in an empty place.
    await bench.write(own, 'session-a', 400);
    await bench.compact(own);
    await bench.write(strange, 'session-s', 200);
    const names = new Set(bench.names);
    await Promise.allSettled([bench.compactTwice(own), stranger.compactTwice(strange)]);
    const theirs = bench.names.filter((name) => !names.has(name));
    const kept = await stranger.ids(strange);
    await bench.write(own, 'session-a', 300);
    await bench.compactTwice(own).catch(() => undefined);
    expect(theirs).not.toEqual([]);
    expect(await stranger.ids(await stranger.open({}, memoryObjects(bench.values)))).toEqual(kept);
  });

  it('takes nothing from a second one', async () => {
    const stranger = new ArchiveBench(bench.world);
    await bench.write(log, 'session-a', 400);
    await bench.compactTwice(log);
    // What the second would write has no counterpart any more.
    bench.values.delete(bench.names[0] ?? '');
    const before = bench.names;
    const strange = await stranger.open({}, memoryObjects(bench.values));
    await stranger.write(strange, 'session-s', 400);
    await expect(stranger.compactTwice(strange)).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringContaining('it is of another log') as string,
    });
    expect(bench.names).toEqual(before);
    expect(await stranger.floor()).toBe(1);
  });

  it('does not pass for this one where a segment was put in the place of another', async () => {
    const stranger = new ArchiveBench(bench.world);
    await bench.write(log, 'session-a', 300);
    await bench.compactTwice(log);
    const strange = await stranger.open();
    await stranger.write(strange, 'session-s', 300);
    await stranger.compactTwice(strange);
    const [first = ''] = bench.names;
    bench.values.set(first, stranger.values.get(stranger.names[0] ?? '') ?? expect.unreachable());
    const other = await bench.open();
    await expect(collect(other.audit.history(0))).rejects.toMatchObject({
      message: expect.stringContaining(`the segment ${first}`) as string,
    });
  });
});

describe('a store that was put back to before all that its archive has', () => {
  it('goes on: what was deleted since is not missed', async () => {
    const times = { keptMs: 24 * hour, retentionMs: 40 * hour };
    const keeping = await bench.open({}, undefined, times);
    await bench.write(keeping, 'session-a', 300);
    await bench.compactTwice(keeping);
    const kept = copyOfStore(bench.store);
    expect(bench.names).not.toEqual([]);
    await bench.write(keeping, 'session-b', 1_000);
    await bench.compactTwice(keeping);
    putBackStore(bench.store, kept);
    bench.world.advance(60 * hour);
    const next = await bench.open({}, undefined, times);
    await bench.write(next, 'session-c', 100);
    await bench.compactTwice(next);
    await bench.compactTwice(next);
    const told = await collect(next.state.read(archiveStream('audit')));
    expect(told.at(-1)?.fact.type).toBe('log.archive_deleted');
    const again = await bench.open({}, undefined, times);
    const first = await again.audit.positionBefore(earliest);
    expect(first).toBeGreaterThan(0);
    expect((await collect(again.audit.history(first))).at(-1)?.stream).toBe('compaction-audit');
    expect(await wrongWith(bench)).toEqual([]);
  });
});

describe('an archive that is full', () => {
  it('is given back what is older than it is kept, and then takes more', async () => {
    const times = { keptMs: 24 * hour, retentionMs: 40 * hour };
    const plain = memoryObjects(bench.values);
    let most = Infinity;
    const used = (): number => [...bench.values.values()].reduce((sum, { length }) => sum + length, 0);
    const objects: ObjectStore = {
      ...plain,
      put: async (name, value) => {
        if (used() + value.length > most) throw new CodedError('no_space', 'the archive is full');
        await plain.put(name, value);
      },
    };
    const keeping = await bench.open({}, objects, times);
    await bench.write(keeping, 'session-a', 300);
    await bench.compactTwice(keeping);
    most = used() + 1;
    await bench.write(keeping, 'session-b', 600);
    const before = await bench.ids(
      keeping,
      await keeping.audit.positionBefore(plusMs(bench.world.now(), -40 * hour)),
    );
    const floor = await bench.floor();
    // More is due than it takes at once: some of it goes, and what is old makes room for the rest.
    let failed = 0;
    for (;;) {
      const outcome = await bench.compact(keeping).then(
        () => 'done',
        (e: unknown) => (isCoded(e) ? e.code : 'other'),
      );
      if (outcome === 'done') break;
      expect(outcome).toBe('no_space');
      failed++;
      expect(failed).toBeLessThan(10);
    }
    expect(await bench.floor()).toBeGreaterThan(floor + 300);
    expect(failed).toBeGreaterThan(1);
    const first = await keeping.audit.positionBefore(earliest);
    expect(first).toBeGreaterThan(0);
    const kept = await bench.ids(await bench.open({}, objects, times), first);
    expect(kept).toEqual(expect.arrayContaining(before));
    expect(await wrongWith(bench)).toEqual([]);
  });
});

describe('how long the archive is kept', () => {
  it('may be shortened, and lengthened again: what is gone is gone, the rest stays', async () => {
    const open = (hours: number | undefined) =>
      bench.open({}, undefined, {
        keptMs: 24 * hour,
        retentionMs: hours === undefined ? undefined : hours * hour,
      });
    await bench.write(log, 'session-a', 600);
    await bench.compactTwice(log);
    const all = bench.names.length;
    await bench.compactTwice(await open(60));
    const some = bench.names;
    expect(some.length).toBeLessThan(all);
    for (const hours of [90, undefined, 60]) {
      const next = await open(hours);
      await bench.compactTwice(next);
      expect(bench.names).toEqual(expect.arrayContaining(some));
      expect((await next.archive?.report())?.fault).toBeUndefined();
      expect(await wrongWith(bench)).toEqual([]);
    }
  });
});
