import { describe, expect, it } from 'vitest';
import { add, cause, fact, open } from './copy-testing.ts';
import { openHeadSigner } from './log-key.ts';
import { logInfo, type PartitionInfo } from './log-info.ts';
import type { ClusterLog } from './event-log.ts';
import { noKeyring } from './keyring.ts';
import { memoryDriver, type MemoryStore, memoryStore } from './memory-driver.ts';
import { openLog } from './open-log.ts';
import { signNow } from './signed-head-testing.ts';
import { realWorld } from '../base/world.ts';
import { silentLog } from '../base/log-sink.ts';

const opened = async (store: MemoryStore = memoryStore()) => ({ store, log: await open(store) });
const infoOf = async (log: ClusterLog, name = 'state'): Promise<PartitionInfo> =>
  (await logInfo(log)).partitions.find(({ partition }) => partition === name) ?? expect.unreachable();

describe('what is known of a log', () => {
  it('is little of an empty one', async () => {
    const { log } = await opened();
    const { partitions, trouble, keys, store, outlook } = await logInfo(log);
    expect({ trouble, keys, store: store.type }).toEqual({ trouble: undefined, keys: [], store: 'memory' });
    expect(outlook).toMatchObject({ status: 'not known' });
    expect(partitions.map(({ partition }) => partition)).toEqual(['state', 'presence', 'audit', 'attempts']);
    for (const one of partitions) {
      expect(one).toMatchObject({
        ...{ slot: 0, position: 0, firstSlot: 0, streams: 0, snapshots: [], unsigned: 0 },
        ...{ lastCompaction: undefined, signedHead: undefined },
      });
      expect(one).not.toHaveProperty('authenticFrom');
      expect(one).not.toHaveProperty('wentBack');
    }
  });

  it('are its events, keys, signed head, compaction and MACs', async () => {
    const { log } = await opened();
    const { key } = await openHeadSigner(log.state, cause);
    for (let n = 0; n < 3; n++) await add(log, 'state', 'a-1', fact(n));
    const head = await signNow(log, 'state');
    await log.takeSnapshot('state', [], { trim: false }, { ...cause, actor: 'auth:one' });
    await add(log, 'state', 'b-1', fact(1));
    expect((await logInfo(log)).keys).toEqual([key]);
    expect(await infoOf(log)).toMatchObject({
      ...{ slot: 7, position: 7, firstSlot: 1, authenticFrom: 1, signedHead: head },
      // The fact of the compaction, and one event.
      unsigned: 2,
      lastCompaction: { at: cause.at, by: 'auth:one' },
      snapshots: [{ slot: 6, position: 6, fault: undefined }],
    });
    expect(await infoOf(log, 'audit')).toMatchObject({ unsigned: 0, lastCompaction: undefined });
  });

  it('is that nothing has a MAC, in a log of before MACs', async () => {
    const store = memoryStore();
    const parts = { keyring: noKeyring, world: realWorld, writer: 'w', sink: silentLog };
    const log = await openLog({ driver: memoryDriver(store), ...parts });
    await add(log, 'state', 'a-1', fact(1));
    expect(await infoOf(log)).not.toHaveProperty('authenticFrom');
    expect(await infoOf(log)).toMatchObject({ slot: 1, unsigned: 1 });
  });

  it('leaves out what would have to be read from a store that went back, and says so', async () => {
    const { store, log } = await opened();
    await openHeadSigner(log.state, cause);
    await add(log, 'state', 'a-1', fact(1));
    await signNow(log, 'state');
    await log.takeSnapshot('state', [], { trim: false }, cause);
    store.slots.get('state')?.clear();
    const info = await logInfo(log);
    expect(info.trouble).toMatch(/went back/);
    expect(info.keys).toEqual([]);
    expect(info.partitions[0]).toMatchObject({
      ...{ wentBack: info.trouble, lastCompaction: undefined, signedHead: undefined, unsigned: 0 },
      ...{ slot: 4, authenticFrom: 1 },
    });
    expect(info.partitions[1]).not.toHaveProperty('wentBack');
  });

  it('is the part before the damage, which it names', async () => {
    const { store, log } = await opened();
    for (let n = 0; n < 3; n++) await add(log, 'audit', 'a-1', fact(n));
    store.slots.get('audit')?.set(4, Buffer.from('not a batch'));
    expect((await logInfo(log)).trouble).toBe('the audit log is damaged: slot 4: too short for a batch');
    expect(await infoOf(log, 'audit')).toMatchObject({ slot: 3, position: 3, authenticFrom: 1 });
  });

  it('is not told over a fault of ours', async () => {
    const { log } = await opened();
    const ours = () => Promise.reject(new TypeError('ours'));
    await expect(logInfo({ ...log, state: { ...log.state, head: ours } })).rejects.toThrow('ours');
    await expect(logInfo({ ...log, inspect: ours })).rejects.toThrow('ours');
  });
});
