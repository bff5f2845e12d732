import { beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import { realWorld } from '../base/world.ts';
import { decodeBatch, encodeBatch } from './batch.ts';
import type { ClusterLog } from './event-log.ts';
import { noKeyring, sharedTestKeyring } from './keyring.ts';
import { memoryDriver, type MemoryStore, memoryStore } from './memory-driver.ts';
import { openLog, type LogOptions } from './open-log.ts';
import { addEvents, cause } from './signed-head-testing.ts';
import { collect } from './testing.ts';
import { uuidV7 } from './uuid-v7.ts';

let store: MemoryStore;
beforeEach(() => {
  store = memoryStore();
});
const open = (options: Partial<LogOptions> = {}): Promise<ClusterLog> => {
  const full = { keyring: sharedTestKeyring, world: realWorld, writer: 'w', sink: silentLog };
  return openLog({ ...full, driver: memoryDriver(store), ...options });
};
const slots = (): Map<number, Uint8Array> => store.slots.get('state') ?? expect.unreachable();

/** Batches without MACs, as the release before wrote them. */
async function writtenBefore(count: number): Promise<void> {
  const log = await open({ keyring: noKeyring });
  await addEvents(log, 'state', count);
  await log.close();
}

/** What somebody who may write to the store puts after the newest batch. */
function forge(): number {
  const last = decodeBatch(slots().get(Math.max(...slots().keys())) ?? expect.unreachable());
  const [slot, id] = [last.slot + 1, uuidV7(realWorld)];
  const event = {
    ...{ id, stream: 'mallory-1', type: 'trial.happened', actor: 'admin', requestId: 'r' },
    ...{ data: {}, revision: 1, at: cause.at },
  };
  const header = { partition: 'state', slot, previous: last.hash, id, writer: 'w' } as const;
  const firstPosition = last.firstPosition + last.events.length;
  slots().set(slot, encodeBatch({ ...header, firstPosition }, [JSON.stringify(event)]));
  return slot;
}

describe('a log that is known to have MACs', () => {
  it('opens with the key that they were under, and no other that lies in the vault', async () => {
    const log = await open();
    await addEvents(log, 'state', 1);
    const { slot, hash, macKeyId } = log.stats().state;
    await log.close();
    const known = { slot, hash: Buffer.from(hash, 'hex'), authentic: true, macKeyId };
    await (await open({ known: { state: known } })).close();
    // What an owner of the store makes, whose own key the keyring takes as well.
    const other = memoryStore();
    await (await open({ driver: memoryDriver(other) })).close();
    for (const [key, value] of other.vault) store.vault.set(key, value);
    await expect(open({ known: { state: known } })).rejects.toMatchObject({
      code: 'misconfigured',
      message: expect.stringContaining(`under the key ${macKeyId ?? ''}`) as string,
    });
  });

  it('serves nothing of what was put in its place without MACs, and ends in a damaged slot', async () => {
    await writtenBefore(4);
    const before = new Map(slots());
    const log = await open();
    await log.seal('state', [], { trim: false }, cause);
    await log.close();
    const [whole, snapshots] = [new Map(slots()), new Map(store.snapshots)];
    const { slot, hash } = log.stats().state;
    store.slots.set('state', new Map(before));
    store.snapshots.clear();
    slots().set(forge() + 1, Buffer.from('damaged'));
    const opened = await open({
      known: { state: { slot, hash: Buffer.from(hash, 'hex'), authentic: true } },
    });
    expect(opened.stats().state).toMatchObject({
      slot: 0,
      damage: expect.stringMatching(/^slot 6/) as string,
    });
    // Nor when it is put there while this process runs.
    slots().delete(6);
    await expect
      .poll(() => opened.state.head().catch(() => opened.stats().state.wentBack))
      .toMatch(/went back/);
    expect(opened.stats().state.slot).toBe(0);
    // Once the log is there again it goes on.
    store.slots.set('state', whole);
    for (const [key, value] of snapshots) store.snapshots.set(key, value);
    await expect.poll(() => opened.state.head().catch(() => 0)).toBeGreaterThan(0);
    await addEvents(opened, 'state', 1);
    expect(await collect(opened.state.read('a-1'))).toHaveLength(5);
  });

  it('goes on from a backup that is older than its MACs when an operator says so, and is told what it lacks', async () => {
    await writtenBefore(4);
    const before = new Map(slots());
    const log = await open();
    await log.seal('state', [], { trim: false }, cause);
    const { slot, hash, macKeyId } = log.stats().state;
    await log.close();
    store.slots.set('state', before);
    store.snapshots.clear();
    const known = { slot, hash: Buffer.from(hash, 'hex'), authentic: true, macKeyId };
    const opened = await open({ known: { state: known } });
    expect(opened.stats().state.wentBack).toMatch(/went back/);
    expect(await opened.recovery('state')).toMatchObject({
      status: 'went back',
      common: 4,
      withoutMacs: true,
    });
    expect(await opened.recover('state', 'go on', cause)).toMatchObject({ status: 'went on' });
    await addEvents(opened, 'state', 1);
    expect(await opened.seal('state', [], { trim: false }, cause)).toBe('sealed');
    expect((await open()).stats().state).toMatchObject({ damage: undefined, wentBack: undefined });
  });
});
