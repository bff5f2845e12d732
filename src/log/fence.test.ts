import { beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import { realWorld } from '../base/world.ts';
import { decodeBatch } from './batch.ts';
import type { ClusterLog } from './event-log.ts';
import type { Cause, Fact, StreamName } from './event.ts';
import { copyAbandoned, fenced, fenceLifted, fenceStream, migrated } from './fence.ts';
import { sharedTestKeyring } from './keyring.ts';
import { memoryDriver, memoryStore, type MemoryStore } from './memory-driver.ts';
import { openLog } from './open-log.ts';
import { PartitionFold } from './partition-fold.ts';
import type { SlotDriver } from './slot-driver.ts';
import { SnapshotStore } from './snapshot-store.ts';
import { collect } from './testing.ts';

const cause: Cause = { at: '2026-01-01T00:00:00.000Z', actor: 'admin', requestId: 'r1' };
const happened: Fact = { type: 'test.happened', data: {} };
const moved = { code: 'unavailable', message: 'the log has moved to etcd: point storage at it and reload' };

let store: MemoryStore;
beforeEach(() => {
  store = memoryStore();
});
const handle = (driver: SlotDriver = memoryDriver(store)): Promise<ClusterLog> =>
  openLog({ driver, keyring: sharedTestKeyring, world: realWorld, writer: 'w', sink: silentLog });
const add = (log: ClusterLog, stream: StreamName, expected: number, fact = happened): Promise<number> =>
  log.state.append([{ stream, expected, facts: [fact] }], cause);
const fence = (log: ClusterLog, fact: Fact, expected = 0): Promise<number> =>
  add(log, fenceStream('state'), expected, fact);

describe('a fenced partition', () => {
  it('refuses every append of a process that knows, and goes on serving', async () => {
    const log = await handle();
    await add(log, 'a-1', 0);
    await fence(log, fenced('c1', 'etcd'));
    await expect(add(log, 'a-1', 1)).rejects.toMatchObject(moved);
    await expect(
      log.state.append(
        [{ stream: 'b-1', expected: 0, facts: [{ ...happened, secrets: { s: Buffer.of(1) } }] }],
        cause,
      ),
    ).rejects.toMatchObject(moved);
    expect(await collect(log.state.history(0))).toHaveLength(2);
    expect(log.stats().state.fence?.reason).toBe(moved.message);
    expect([...store.vault.keys()]).toEqual(['data-key/log-authenticity']);
  });

  it('leaves the other partitions as they are', async () => {
    const log = await handle();
    await fence(log, fenced('c1', 'etcd'));
    expect(await log.audit.append([{ stream: 'a-1', expected: 0, facts: [happened] }], cause)).toBe(1);
  });

  it('is met by a process that did not know: its commit loses the slot', async () => {
    const [one, other] = [await handle(), await handle()];
    await add(one, 'a-1', 0);
    await other.state.head();
    await fence(one, fenced('c1', 'etcd'));
    await expect(add(other, 'a-1', 1)).rejects.toMatchObject(moved);
    expect(store.slots.get('state')?.size).toBe(2);
  });

  it('refuses what waited together with appends that came through', async () => {
    const slow = memoryDriver(store);
    const log = await handle({
      ...slow,
      append: async (partition, after, batch) => {
        // Another process fences between the choice of the slot and the commit.
        if (after.slot === 0) await fence(await handle(), fenced('c1', 'etcd'));
        return slow.append(partition, after, batch);
      },
    });
    const all = await Promise.allSettled(
      ['a-1', 'a-2', 'a-3'].map((name) => add(log, name as StreamName, 0)),
    );
    for (const one of all) expect(one).toMatchObject({ status: 'rejected', reason: moved });
    expect(store.slots.get('state')?.size).toBe(1);
  });

  it('opens again for those who knew the fence, when it is lifted', async () => {
    const [one, other] = [await handle(), await handle()];
    await fence(one, fenced('c1', 'etcd'));
    await expect(add(other, 'a-1', 0)).rejects.toMatchObject(moved);
    await fence(one, fenceLifted('c1'), 1);
    const secret = { ...happened, secrets: { s: Buffer.of(1) } };
    expect(await add(other, 'a-1', 0, secret)).toBe(3);
    expect(other.stats().state.fence).toBeUndefined();
  });

  it('opens on the store it moved to', async () => {
    const log = await handle();
    await fence(log, fenced('c1', 'etcd'));
    await fence(log, migrated('c1', 'dir', []), 1);
    expect(await add(log, 'a-1', 0)).toBe(3);
  });

  it('stays closed where the copy was abandoned, and where a later version closed it', async () => {
    const log = await handle();
    await fence(log, copyAbandoned('c1'));
    await expect(add(log, 'a-1', 0)).rejects.toThrow(/was taken back/);
    await fence(log, { type: 'log.buried', data: {} }, 1);
    await expect(add(log, 'a-1', 0)).rejects.toThrow(/does not know: log.buried/);
  });

  it('is known to a process that opens from a snapshot', async () => {
    const log = await handle();
    await add(log, 'a-1', 0);
    await fence(log, fenced('c1', 'etcd'));
    // As by one who was about to take it when the fence came.
    const fold = new PartitionFold('state');
    for await (const { batch } of memoryDriver(store).read('state', 1)) fold.admit(decodeBatch(batch));
    await new SnapshotStore(memoryDriver(store).snapshots, 'state', silentLog).write(fold, [], {
      floor: 1,
      takenAt: cause.at,
      epoch: 1,
    });
    const late = await handle();
    expect(late.stats().state.fence?.reason).toBe(moved.message);
    await expect(add(late, 'a-1', 1)).rejects.toMatchObject(moved);
  });

  it('tells who destroys a secret that the new store may still hold its key', async () => {
    const log = await handle();
    const facts = [{ ...happened, secrets: { s: Buffer.of(1) } }];
    await log.state.append([{ stream: 'a-1', expected: 0, facts }], cause);
    await fence(log, fenced('c1', 'etcd'));
    const [event] = await collect(log.state.read('a-1'));
    if (event === undefined) throw new Error('nothing was stored');
    await expect(log.state.destroySecrets(event)).rejects.toMatchObject(moved);
    expect([...store.vault.keys()]).toEqual(['data-key/log-authenticity']);
  });
});
