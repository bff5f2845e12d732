import { hash } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import { realWorld } from '../base/world.ts';
import { decodeBatch, encodeBatch } from './batch.ts';
import { BlobCopy } from './copy-blobs.ts';
import type { ClusterLog } from './event-log.ts';
import type { Cause, StreamName } from './event.ts';
import { IndexUpkeep } from './index-upkeep.ts';
import { memoryKeyring, noKeyring } from './keyring.ts';
import { commonOf, wholeManifest } from './manifest.ts';
import { memoryDriver, type MemoryStore, memoryStore } from './memory-driver.ts';
import { openLog } from './open-log.ts';
import { PartitionFold } from './partition-fold.ts';
import { SegmentedStreams } from './segmented-streams.ts';
import type { SlotDriver } from './slot-driver.ts';
import { SnapshotStore } from './snapshot-store.ts';
import { HeapStreams } from './stream-index.ts';
import { collect } from './testing.ts';
import { uuidV7 } from './uuid-v7.ts';
import { verifyLog } from './verify.ts';

const cause: Cause = { at: '2026-01-01T00:00:00.000Z', actor: 'user:test', requestId: 'r1' };
const session = (n: number): StreamName => `session-${String(n).padStart(6, '0')}`;
const facts = (count: number) => Array.from({ length: count }, (_, i) => ({ type: 't', data: { i } }));
const keyring = memoryKeyring(realWorld);

let store: MemoryStore;
const handle = (driver: SlotDriver = memoryDriver(store)): Promise<ClusterLog> =>
  openLog({ driver, keyring, world: realWorld, writer: 'w', sink: silentLog });
beforeEach(() => {
  store = memoryStore();
});

/** Sessions `from` to `to`, two events each. */
async function fill(log: ClusterLog, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n += 100) {
    const some = Array.from({ length: Math.min(100, to - n) }, (_, i) => session(n + i));
    await log.audit.append(
      some.map((stream) => ({ stream, expected: 0, facts: facts(2) })),
      cause,
    );
  }
}
const snapshot = (log: ClusterLog) => log.takeSnapshot('audit', [], { trim: false }, cause);
const append = (log: ClusterLog, stream: StreamName, expected: number) =>
  log.audit.append([{ stream, expected, facts: facts(1) }], cause);

/** Folds the audit as another process would, and keeps its index small by the snapshots in the store. */
async function otherFold() {
  const driver = memoryDriver(store);
  const fold = new PartitionFold('audit');
  for await (const { batch } of driver.read('audit', 1)) fold.admit(decodeBatch(batch));
  const snapshots = new SnapshotStore(driver.snapshots, 'audit', silentLog);
  const upkeep = new IndexUpkeep({
    driver,
    snapshots,
    sink: silentLog,
    decode: ({ batch }) => Promise.resolve(decodeBatch(batch)),
  });
  upkeep.attach(fold);
  if (!(fold.streams instanceof SegmentedStreams)) throw new Error('audit has segments');
  return { fold, streams: fold.streams, snapshots, upkeep };
}

const runKeys = (): string[] => [...store.snapshots.keys()].filter((key) => key.startsWith('audit-runs/'));
const runIds = (): Set<string> => new Set(runKeys().map((key) => key.split('/')[1] ?? ''));
const parts = (): string[] => runKeys().filter((key) => key.includes('/part-'));

describe('the index of audit', () => {
  it('goes into runs, and every stream is still known at its revision, also after opening', async () => {
    const log = await handle();
    for (let n = 0; n < 6_000; n += 1_000) {
      await fill(log, n, n + 1_000);
      await snapshot(log);
    }
    for (const one of [log, await handle()]) {
      expect(await one.audit.revision(session(3))).toBe(2);
      expect(await one.audit.revision('session-none')).toBe(0);
      expect((await collect(one.audit.read(session(4), 1))).map((event) => event.revision)).toEqual([2]);
      await expect(append(one, session(5), 1)).rejects.toMatchObject({ code: 'conflict' });
      await expect(append(one, session(6), 0)).rejects.toMatchObject({ code: 'conflict' });
    }
    expect(log.stats().audit.streams).toBe(6_001);
    await append(log, session(5), 2);
    expect(await (await handle()).audit.revision(session(5))).toBe(3);
    await snapshot(log);
    await fill(log, 6_000, 9_000);
    await snapshot(log);
    expect((await collect(log.audit.read(session(5)))).map((event) => event.revision)).toEqual([1, 2, 3]);
    expect((await verifyLog(memoryDriver(store))).partitions[2]).toMatchObject({
      bad: undefined,
      snapshots: 2,
      damagedSnapshots: [],
    });
  });

  it('holds few streams in memory, however many there are, in processes that take no snapshots too', async () => {
    const log = await handle();
    await fill(log, 0, 5_000);
    await snapshot(log);
    await fill(log, 5_000, 5_500);
    const { fold, streams, upkeep } = await otherFold();
    expect(streams.held).toBe(5_501);
    expect(await upkeep.adopt(fold)).toBe(true);
    expect(streams.held).toBeLessThan(3_000);
    expect(await upkeep.adopt(fold)).toBe(false);
    await fold.recall([session(1), session(5_400)]);
    expect([fold.revision(session(1)), fold.revision(session(5_400)), streams.size]).toEqual([2, 2, 5_501]);
  });

  it('lets go what it has written', async () => {
    const log = await handle();
    await fill(log, 0, 5_000);
    const { fold, streams, snapshots } = await otherFold();
    await snapshots.write(fold, [], { floor: 1, takenAt: cause.at, epoch: 1 });
    expect(streams.held).toBeLessThan(2_200);
    await fold.recall([session(1), session(4_999)]);
    expect([fold.revision(session(1)), fold.revision(session(4_999))]).toEqual([2, 2]);
  });

  it('refuses a batch that goes on wrongly with a stream that lies in a run', async () => {
    const log = await handle();
    await fill(log, 0, 3_000);
    await snapshot(log);
    const { fold, upkeep } = await otherFold();
    await upkeep.adopt(fold);
    const wrong = (revision: number) => {
      const at = { slot: fold.slot + 1, firstPosition: fold.position + 1, previous: fold.hash };
      const event = { id: uuidV7(realWorld), stream: session(7), revision, cause, fact: facts(1)[0] };
      const id = uuidV7(realWorld);
      return encodeBatch({ partition: 'audit', ...at, id, writer: 'w' }, [
        JSON.stringify({ ...event, type: 't', data: {} }),
      ]);
    };
    expect(() => fold.revision(session(7))).toThrow('was not recalled');
    store.slots.get('audit')?.set(fold.slot + 1, Uint8Array.from(wrong(1)));
    const opened = await handle();
    expect(opened.stats().audit.damage).toBeDefined();
  });

  it('keeps a stream that an append under way rests on, whatever is settled meanwhile', async () => {
    const log = await handle();
    await fill(log, 0, 4_000);
    await snapshot(log);
    const { fold, streams, upkeep } = await otherFold();
    await upkeep.adopt(fold);
    await fold.recall([session(8), 'session-new']);
    await fill(log, 4_000, 4_100);
    // One slot further, and settled there: what was asked before may be gone, what is asked now stays.
    for await (const { slot, batch } of memoryDriver(store).read('audit', fold.slot + 1))
      if (slot === fold.slot + 1) fold.admit(decodeBatch(batch));
    await fold.recall([session(9), 'session-newer']);
    streams.settle({ slot: fold.slot, runs: [], recent: [], streams: 0 });
    expect([fold.revision(session(9)), fold.revision('session-newer')]).toEqual([2, 0]);
    // And those written in that slot.
    expect(streams.held).toBe(102);
  });

  it('is read from the log again when a run is damaged, and written again', async () => {
    const log = await handle();
    await fill(log, 0, 3_000);
    await snapshot(log);
    for (const key of parts()) store.snapshots.set(key, Buffer.from('[]'));
    const report = (await verifyLog(memoryDriver(store))).partitions[2];
    expect(report?.damagedSnapshots[0]?.reason).toContain('is not what was written');
    for (const one of [log, await handle()]) {
      expect(await one.audit.revision(session(1))).toBe(2);
      expect(await one.audit.revision(session(2_999))).toBe(2);
    }
    await append(log, session(1), 2);
    await snapshot(log);
    expect(await (await handle()).audit.revision(session(1))).toBe(3);
  });

  it('mends a run that cannot be read when it is merged', async () => {
    const log = await handle();
    await fill(log, 0, 100);
    await snapshot(log);
    for (const key of parts()) store.snapshots.delete(key);
    await fill(log, 100, 300);
    await expect(snapshot(log)).rejects.toMatchObject({ code: 'unavailable' });
    expect(await snapshot(log)).toMatchObject({ status: 'taken' });
    expect(await (await handle()).audit.revision(session(1))).toBe(2);
  });

  it('passes over a snapshot whose runs are gone', async () => {
    const log = await handle();
    await fill(log, 0, 300);
    await snapshot(log);
    for (const key of runKeys()) store.snapshots.delete(key);
    expect(await (await handle()).audit.revision(session(1))).toBe(2);
  });

  it('has few runs, and deletes those that no snapshot needs', async () => {
    const log = await handle();
    for (let n = 0; n < 40; n++) {
      await fill(log, n * 100, n * 100 + 100);
      await snapshot(log);
    }
    // Those of two snapshots; each at least twice as large as the next.
    expect(runIds().size).toBeLessThan(14);
    expect((await verifyLog(memoryDriver(store))).partitions[2]?.damagedSnapshots).toEqual([]);
  });

  it('goes on from a snapshot of the release before, which has all streams in it', async () => {
    const log = await openLog({
      driver: memoryDriver(store),
      keyring: noKeyring,
      world: realWorld,
      writer: 'the release before',
      sink: silentLog,
    });
    await fill(log, 0, 3_000);
    const whole = new HeapStreams();
    const fold = new PartitionFold('audit');
    for await (const stored of memoryDriver(store).read('audit', 1)) {
      const batch = decodeBatch(stored.batch);
      fold.admit(batch);
      for (const event of batch.events) whole.add(event.stream, batch.slot, event.revision);
    }
    const about = commonOf(fold, { takenAt: cause.at, floor: fold.slot, views: {} });
    const bytes = Buffer.from(JSON.stringify(wholeManifest(about, whole)));
    const key = `audit/${String(fold.slot).padStart(16, '0')}/manifest`;
    store.snapshots.set(key, Buffer.concat([hash('sha256', bytes, 'buffer'), bytes]));
    store.slots.get('audit')?.delete(1);
    const opened = await handle();
    expect(await opened.audit.revision(session(1))).toBe(2);
    expect((await collect(opened.audit.read(session(2_999)))).length).toBe(2);
    await append(opened, session(2_000), 2);
    await snapshot(opened);
    expect(await opened.audit.revision(session(2))).toBe(2);
    expect((await collect(opened.audit.read(session(2_000)))).map((one) => one.revision)).toEqual([1, 2, 3]);
  });

  it('is copied with the snapshots that need it', async () => {
    const log = await handle();
    await fill(log, 0, 2_500);
    await snapshot(log);
    const target = memoryStore();
    target.slots.set('audit', new Map(store.slots.get('audit')));
    await new BlobCopy(memoryDriver(store), memoryDriver(target), false).snapshots();
    const report = (await verifyLog(memoryDriver(target))).partitions[2];
    expect(report).toMatchObject({ snapshots: 1, damagedSnapshots: [] });
  });
});
