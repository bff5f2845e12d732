import { hash } from 'node:crypto';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import { realWorld } from '../base/world.ts';
import { authenticityOf } from './authenticity.ts';
import { type Batch, decodeBatch, encodeBatch, macFault } from './batch.ts';
import type { ClusterLog } from './event-log.ts';
import type { Partition } from './event.ts';
import { keyringOf, noKeyring } from './keyring.ts';
import { memoryDriver, type MemoryStore, memoryStore } from './memory-driver.ts';
import { openLog, type LogOptions } from './open-log.ts';
import { rewrapVault } from './rewrap.ts';
import { addEvents, cause, rewritten, stranger } from './signed-head-testing.ts';
import { collect, collectUntil } from './testing.ts';
import { uuidV7 } from './uuid-v7.ts';

const ring = (...ids: number[]): ReturnType<typeof keyringOf> =>
  keyringOf(
    ids.map((n) => ({ id: String(n).padStart(16, '0'), key: Buffer.alloc(32, n) })),
    realWorld,
  );

let store: MemoryStore;
beforeEach(() => {
  store = memoryStore();
});
const open = (options: Partial<LogOptions> = {}): Promise<ClusterLog> =>
  openLog({
    driver: memoryDriver(store),
    keyring: ring(1),
    world: realWorld,
    writer: 'w',
    sink: silentLog,
    ...options,
  });

/** Batches without MACs, as the release before wrote them. */
async function writtenBefore(partition: Partition, count: number): Promise<void> {
  const log = await open({ keyring: noKeyring });
  await addEvents(log, partition, count);
  await log.close();
}

const slotsOf = (partition: Partition): Map<number, Uint8Array> =>
  store.slots.get(partition) ?? expect.unreachable();
const batchIn = (partition: Partition, slot: number): Batch =>
  decodeBatch(slotsOf(partition).get(slot) ?? expect.unreachable());

/** What somebody who may write to the store puts after the newest batch. */
function forge(partition: Partition, authenticity?: typeof stranger): number {
  const last = batchIn(partition, Math.max(...slotsOf(partition).keys()));
  const event = {
    ...{ id: uuidV7(realWorld), stream: 'mallory-1', type: 'trial.happened', actor: 'admin', requestId: 'r' },
    ...{ data: {}, revision: 1, at: cause.at },
  };
  const slot = last.slot + 1;
  const firstPosition = last.firstPosition + last.events.length;
  const made = encodeBatch(
    { partition, slot, firstPosition, previous: last.hash, id: uuidV7(realWorld), writer: 'w' },
    [JSON.stringify(event)],
    authenticity,
  );
  slotsOf(partition).set(slot, made);
  return slot;
}

describe('the MAC of a batch', () => {
  it('is refused when any byte of the batch was changed, or its place, whoever computes the hash anew', () => {
    const authenticity = authenticityOf(Buffer.alloc(32, 7));
    const header = { partition: 'state', slot: 7, firstPosition: 9, previous: Buffer.alloc(32, 3) } as const;
    const data = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(data, fc.nat(), fc.integer({ min: 1, max: 255 }), (one, at, flip) => {
        const id = uuidV7(realWorld);
        const event = JSON.stringify({
          ...{ id, stream: 'a-1', type: 'a.b', actor: 'x', requestId: 'r', data: one },
          ...{ revision: 1, at: cause.at },
        });
        const stored = encodeBatch({ ...header, id, writer: 'w' }, [event], authenticity);
        expect(decodeBatch(stored)).toMatchObject({ ...header, version: 2, writer: 'w' });
        expect(macFault(stored, authenticity)).toBeUndefined();
        expect(macFault(stored, stranger)).toMatch(/under the key/);
        const content = Buffer.from(stored.subarray(0, -32));
        // The version byte is the fold's to refuse.
        const place = 1 + (at % (content.length - 1));
        content[place] = (content[place] ?? 0) ^ flip;
        const changed = Buffer.concat([content, hash('sha256', content, 'buffer')]);
        expect(macFault(changed, authenticity)).toBeDefined();
      }),
    );
  });
});

describe('a new log', () => {
  it.each([
    ['has no MAC', undefined, /it has no MAC, and from slot 1 on each batch has one/],
    ['has one under another key', stranger, /its MAC is under the key .* does not hold the keyring/],
    ['names the key of the log', { ...stranger, keyId: Buffer.alloc(0) }, /it does not have its MAC/],
  ])('refuses a batch that %s, in each partition, and goes on when it is gone', async (_, by, reason) => {
    for (const partition of ['state', 'presence', 'audit'] as const) {
      const log = await open();
      await addEvents(log, partition, 3);
      const own = slotsOf(partition).get(1) ?? expect.unreachable();
      const keyId = Buffer.from(own.subarray(-32 - 32 - 8, -32 - 32));
      const slot = forge(partition, by && { ...by, keyId: by.keyId.length === 0 ? keyId : by.keyId });
      await expect(log[partition].head()).rejects.toMatchObject({
        code: 'damaged',
        message: expect.stringMatching(reason) as string,
      });
      const later = await open();
      expect(later.stats()[partition].damage).toMatch(reason);
      expect(await collectUntil(later[partition].history(0), 'damaged')).toHaveLength(3);
      slotsOf(partition).delete(slot);
      await addEvents(later, partition, 1);
    }
  });

  it('refuses a chain that was written again from the middle, or from its beginning', async () => {
    await addEvents(await open(), 'state', 5);
    const whole = new Map(slotsOf('state'));
    for (const from of [3, 1]) {
      const behind = [...whole].filter(([slot]) => slot >= from);
      for (const [slot, made] of rewritten(behind, 'as it was', 'not so')) slotsOf('state').set(slot, made);
      expect((await open()).stats().state.damage).toMatch(new RegExp(`^slot ${from}: its MAC is under`));
    }
  });

  it('reads nothing from a single slot that was exchanged since it was folded', async () => {
    const log = await open({ recentBytes: 0 });
    await addEvents(log, 'state', 5);
    const [[, made] = expect.unreachable()] = rewritten(
      [...slotsOf('state')].slice(2, 3),
      'as it was',
      'not so',
    );
    slotsOf('state').set(3, made);
    await expect(collect(log.state.read('a-1'))).rejects.toMatchObject({ code: 'damaged' });
  });

  it('takes nothing from who has no keyring, and opens for nobody when its key is gone', async () => {
    await addEvents(await open(), 'state', 2);
    const looking = await open({ keyring: noKeyring });
    expect(await collect(looking.state.history(0))).toHaveLength(2);
    await expect(addEvents(looking, 'state', 1)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(open({ keyring: ring(2) })).rejects.toMatchObject({ code: 'unavailable' });
    store.vault.clear();
    await expect(open()).rejects.toMatchObject({ code: 'misconfigured' });
  });

  it('is read by a changed keyring, while the vault is rewrapped and after', async () => {
    await addEvents(await open(), 'state', 2);
    await addEvents(await open({ keyring: ring(1, 2) }), 'state', 2);
    await rewrapVault(memoryDriver(store).vault, ring(1, 2));
    const after = await open({ keyring: ring(2) });
    await addEvents(after, 'state', 2);
    expect(await collect(after.state.history(0))).toHaveLength(6);
  });

  it('keeps its key when the store went back to before it had one, whichever way out is taken', async () => {
    for (const step of ['give back', 'go on'] as const) {
      store = memoryStore();
      const log = await open();
      await addEvents(log, 'state', 3);
      slotsOf('state').delete(3);
      store.vault.clear();
      await expect(log.state.head()).rejects.toMatchObject({ code: 'unavailable' });
      expect((await log.recover('state', step, cause)).status).not.toBe('was whole');
      await addEvents(log, 'state', 1);
      const later = await open();
      expect(later.stats().state.damage).toBeUndefined();
      await addEvents(later, 'state', 1);
    }
  });

  it('has one key, whoever begins it', async () => {
    const logs = await Promise.all(Array.from({ length: 5 }, () => open()));
    for (const log of logs) await addEvents(log, 'state', 1);
    expect((await open()).stats().state).toMatchObject({ damage: undefined, slot: 5, authenticFrom: 1 });
  });
});

describe('a snapshot of a log with MACs', () => {
  const view = [{ name: 'trial.1', position: 4, state: { admin: 'alice' } }];
  const manifestOf = (partition: Partition): [string, Buffer] => {
    const key = [...store.snapshots.keys()].find((one) => one.endsWith('/manifest')) ?? '';
    expect(key.startsWith(`${partition}/`)).toBe(true);
    return [key, Buffer.from(store.snapshots.get(key) ?? [])];
  };
  const putText = (key: string, text: string): void => {
    store.snapshots.set(key, Buffer.concat([hash('sha256', text, 'buffer'), Buffer.from(text)]));
  };

  it.each(['state', 'audit'] as const)(
    'is not believed when it has none, or not its own: %s',
    async (name) => {
      const log = await open();
      await addEvents(log, name, 4);
      await log.takeSnapshot(name, view, { trim: false }, cause);
      expect((await (await open())[name].snapshot('trial.1'))?.state).toEqual({ admin: 'alice' });
      const [key, stored] = manifestOf(name);
      const text = stored.subarray(32).toString();
      const digestOf = (state: object): string =>
        hash('sha256', JSON.stringify({ position: 4, state, carried: undefined }), 'hex');
      const forged = text.replace(digestOf({ admin: 'alice' }), digestOf({ admin: 'mallory' }));
      expect(forged).not.toBe(text);
      const viewKey = key.replace('/manifest', '/view/trial.1');
      store.snapshots.set(viewKey, Buffer.from(JSON.stringify({ position: 4, state: { admin: 'mallory' } })));
      for (const made of [forged, `${forged.slice(0, -74)}}`]) {
        putText(key, made);
        const opened = await open();
        expect(await opened[name].snapshot('trial.1')).toBeUndefined();
        expect(await collect(opened[name].history(0))).toHaveLength(5);
      }
    },
  );
});

describe('a log that the release before began', () => {
  const known = (partition: Partition): Partial<LogOptions> => ({
    known: { [partition]: { slot: 0, hash: Buffer.alloc(32), authentic: true } },
  });

  it('goes on beside it without MACs, until it is sealed; then each batch has one', async () => {
    await writtenBefore('state', 3);
    const log = await open();
    await addEvents(log, 'state', 2);
    expect([4, 5].map((slot) => batchIn('state', slot))).toMatchObject([{ version: 1 }, { version: 1 }]);
    expect(log.stats().state.authenticFrom).toBeUndefined();
    expect(await log.seal('state', [], { trim: false }, cause)).toBe('sealed');
    await addEvents(log, 'state', 1);
    expect([6, 7, 8].map((slot) => batchIn('state', slot).version)).toEqual([1, 2, 2]);
    expect(await (await open()).seal('state', [], { trim: false }, cause)).toBe('was sealed');
    const later = await open();
    expect(later.stats().state).toMatchObject({ damage: undefined, authenticFrom: 7 });
    expect(await collect(later.state.read('a-1'))).toHaveLength(6);
  });

  it('is sealed by one of several that try at once', async () => {
    await writtenBefore('presence', 3);
    const logs = await Promise.all([open(), open(), open()]);
    const outcomes = await Promise.all(logs.map((log) => log.seal('presence', [], { trim: true }, cause)));
    expect(outcomes.filter((one) => one === 'sealed')).toHaveLength(1);
    await Promise.all(logs.map((log) => addEvents(log, 'presence', 1).catch(() => undefined)));
    expect((await open()).stats().presence).toMatchObject({ damage: undefined });
  });

  it('refuses a batch without a MAC after the seal, and what was changed before it', async () => {
    await writtenBefore('state', 6);
    const log = await open({ recentBytes: 0 });
    await log.seal('state', [], { trim: false }, cause);
    const opened = await open({ recentBytes: 0 });
    expect(await collect(opened.state.read('a-1'))).toHaveLength(6);
    const whole = new Map(slotsOf('state'));
    for (const [slot, made] of rewritten([...whole].slice(2, 3), 'as it was', 'not so'))
      slotsOf('state').set(slot, made);
    await expect(collect((await open({ recentBytes: 0 })).state.read('a-1'))).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(/slot 3: it is not the batch that slot 8 vouches for/) as string,
    });
    // Nor when what was noted of them is gone, or is made by others.
    const noted = [...store.snapshots.keys()].find((key) => key.startsWith('state-old-slots/')) ?? '';
    const hashes = Buffer.from(store.snapshots.get(noted) ?? []);
    hashes.set(batchIn('state', 3).hash, 32 + 3 * 32);
    store.snapshots.set(noted, hashes);
    await expect(collect((await open({ recentBytes: 0 })).state.read('a-1'))).rejects.toMatchObject({
      code: 'damaged',
    });
    store.slots.set('state', new Map(whole));
    store.snapshots.delete(noted);
    expect(await collect((await open({ recentBytes: 0 })).state.read('a-1'))).toHaveLength(6);
    expect(store.snapshots.has(noted)).toBe(true);
    forge('state');
    expect((await open()).stats().state.damage).toMatch(/it has no MAC, and from slot 8 on/);
  });

  it('is not believed without its seal by a machine that knows of it', async () => {
    await writtenBefore('state', 4);
    const before = new Map(slotsOf('state'));
    const log = await open();
    await log.seal('state', [], { trim: false }, cause);
    await log.close();
    store.slots.set('state', new Map(before));
    store.snapshots.clear();
    forge('state');
    expect((await open(known('state'))).stats().state.damage).toMatch(/no batch of it has a MAC/);
    store.vault.clear();
    await expect(open(known('state'))).rejects.toMatchObject({ code: 'misconfigured' });
  });

  it('reads what was written after a recovery, whatever was noted of the branch that was lost', async () => {
    await writtenBefore('state', 6);
    const log = await open({ recentBytes: 0 });
    await log.seal('state', [], { trim: false }, cause);
    // The slots are put back, what is beside them is not.
    for (const slot of [5, 6, 7, 8]) slotsOf('state').delete(slot);
    await expect(log.state.head()).rejects.toMatchObject({ code: 'unavailable' });
    expect(await log.recovery('state')).toMatchObject({ withoutMacs: true });
    await log.recover('state', 'go on', cause);
    await addEvents(log, 'state', 2);
    await log.seal('state', [], { trim: false }, cause);
    const later = await open({ recentBytes: 0 });
    for (const one of [log, later]) expect(await collect(one.state.read('a-1'))).toHaveLength(6);
  });

  it('knows for how long nobody without MACs has written', async () => {
    await writtenBefore('state', 1);
    const log = await open();
    const old = slotsOf('state').get(1) ?? expect.unreachable();
    expect(decodeBatch(old).writer).toBe('w reads 2');
    const quietMs = (): number => log.stats().state.withoutOlderReleaseMs;
    await expect.poll(quietMs).toBeGreaterThan(20);
    const before = quietMs();
    forge('state');
    await log.state.head();
    expect(quietMs()).toBeLessThan(before);
  });
});
