import { beforeEach, describe, expect, it } from 'vitest';
import { realWorld } from '../base/world.ts';
import { encodeBatch } from './batch.ts';
import { noHash } from './own-hash.ts';
import { add, cause, fact, fill, Move, open } from './copy-testing.ts';
import { moveLog } from './move.ts';
import type { Partition } from './event.ts';
import { addStoreKey } from './keyring-store.ts';
import { memoryDriver, memoryStore } from './memory-driver.ts';
import type { SlotDriver, StoredSlot } from './slot-driver.ts';
import { draftEvent, placeEvent } from './stored-event.ts';
import { collect } from './testing.ts';
import { uuidV7 } from './uuid-v7.ts';
import { verifyLog } from './verify.ts';

let move: Move;
beforeEach(() => {
  move = new Move();
});

describe('copying a log', () => {
  it('moves all of it: slots, secrets, snapshots', async () => {
    await fill(move.source);
    const copied = await move.copy();
    expect(copied).toMatchObject({ status: 'moved', dataKeys: 2 });
    expect(move.source.slots.get('presence')?.has(1)).toBe(false);
    await move.expectMoved();
    const log = await open(move.target);
    const [event] = await collect(log.state.read('secret-1'));
    if (event === undefined) throw new Error('nothing was copied');
    expect(Buffer.from(await log.state.unseal(event, 'key')).toString()).toBe('the key');
    expect(await log.presence.snapshot('seen')).toMatchObject({ state: { n: 2 } });
    const [decision] = (await collect(log.state.read('fence-state'))).slice(-1);
    expect(decision?.fact).toMatchObject({ type: 'log.migrated', data: { from: 'the old place' } });
  });

  it('tells how many events and bytes each partition has, and its head', async () => {
    await fill(move.source);
    const before = (await verifyLog(memoryDriver(move.source))).partitions;
    const copied = await move.copy();
    if (copied.status !== 'moved') throw new Error('not copied');
    for (const [i, one] of copied.partitions.entries()) {
      // The fence came after the count before.
      expect(one.events).toBe((before[i]?.events ?? 0) + 1);
      expect(one.lastSlot).toBe((before[i]?.lastSlot ?? 0) + 1);
      expect(one.firstSlot).toBe(before[i]?.firstSlot);
    }
    const after = (await verifyLog(memoryDriver(move.source))).partitions;
    expect(copied.partitions.map((one) => one.head)).toEqual(after.map((one) => one.head));
  });

  it('loses nothing that was acknowledged while it went on', async () => {
    await fill(move.source, 100);
    const log = await open(move.source);
    let acknowledged = 0;
    let refusal: unknown;
    const writing = (async () => {
      for (let n = 0; refusal === undefined; n++)
        try {
          await add(log, 'state', `busy-${n}`, fact(n));
          acknowledged++;
          // In memory nothing else would ever have its turn.
          await new Promise(setImmediate);
        } catch (e) {
          refusal = e;
        }
    })();
    await move.copy();
    await writing;
    expect(refusal).toMatchObject({ code: 'unavailable' });
    expect(acknowledged).toBeGreaterThan(0);
    await move.expectMoved();
    const moved = await collect((await open(move.target)).state.history(0));
    expect(moved.filter((event) => event.stream.startsWith('busy-'))).toHaveLength(acknowledged);
  });

  it('destroys at the target what was destroyed at the source meanwhile', async () => {
    await fill(move.source);
    const log = await open(move.source);
    const [event] = await collect(log.state.read('secret-1'));
    if (event === undefined) throw new Error('nothing was stored');
    let passes = 0;
    await moveLog({
      ...move.options(),
      storeKeys: true,
      progress: () => {
        if (passes++ === 0) move.source.vault.clear();
      },
    });
    expect(move.target.vault.size).toBe(0);
  });

  it('destroys also what was destroyed while the target was opened', async () => {
    await fill(move.source);
    const driver = memoryDriver(move.target);
    const late: SlotDriver = {
      ...driver,
      append: (...args) => {
        if (Buffer.from(args[2]).includes('log.migrated')) move.source.vault.clear();
        return driver.append(...args);
      },
    };
    await moveLog(move.options(memoryDriver(move.source), late));
    expect(move.target.vault.size).toBe(0);
  });

  it('takes the keyring of the store along, wherever it lies, and destroys what was removed meanwhile', async () => {
    await fill(move.source);
    const driver = memoryDriver(move.source);
    const old = 'key-encryption-key/00000001-aaaaaaaaaaaaaaaa';
    await driver.vault.create(old, Buffer.alloc(32, 1));
    const kept = await addStoreKey(driver);
    const removed = await addStoreKey(driver);
    let passes = 0;
    await moveLog({
      ...move.options(),
      storeKeys: true,
      progress: () => {
        if (passes++ === 0) move.source.meta.delete(`key-encryption-key/00000003-${removed}`);
      },
    });
    expect([...move.target.vault.keys()]).toContain(old);
    expect([...move.target.meta.keys()]).toEqual([`key-encryption-key/00000002-${kept}`]);
    expect(move.target.tombstones).toContain(`meta/key-encryption-key/00000003-${removed}`);
    await move.expectMoved();
  });

  it('takes a presence that an earlier release trimmed without a floor', async () => {
    await fill(move.source);
    const first = Math.min(...(move.source.slots.get('presence')?.keys() ?? []));
    expect(first).toBeGreaterThan(1);
    move.source.floors.clear();
    await move.copy();
    expect(move.target.floors.get('presence')).toBe(first);
    expect((await verifyLog(memoryDriver(move.target))).bad).toBeUndefined();
  });

  it('says that it was done when it is asked again', async () => {
    await fill(move.source);
    await move.copy();
    const log = await open(move.target);
    await add(log, 'state', 'later-1', fact(1));
    expect(await move.copy()).toEqual({ status: 'was moved' });
    await add(log, 'state', 'later-2', fact(1));
  });

  it('moves on from where it moved to, and back to a third place', async () => {
    await fill(move.source);
    await move.copy();
    const [first, second] = [move.source, move.target];
    move.source = second;
    move.target = memoryStore();
    await move.copy();
    await move.expectMoved();
    await expect(
      (await open(first)).state.append([{ stream: 'a-9', expected: 0, facts: [fact(1)] }], cause),
    ).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('a copy that cannot be', () => {
  const untouched = async (): Promise<void> => {
    await add(await open(move.source), 'state', 'still-1', fact(1));
  };
  const refused = async (code: string, message: RegExp): Promise<void> => {
    await expect(move.copy()).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  };

  it('is refused from nowhere', async () => {
    await refused('not_found', /no log in the old place/);
    expect(move.target.meta.size).toBe(0);
  });

  it('is refused to a store that holds a log, and leaves both as they were', async () => {
    await fill(move.source);
    await fill(move.target);
    await refused('already_exists', /the new place holds a log already/);
    await untouched();
    await add(await open(move.target), 'state', 'still-1', fact(1));
  });

  it('is refused to itself', async () => {
    await fill(move.source);
    move.target = move.source;
    await refused('already_exists', /holds a log already/);
    await untouched();
  });

  it('is refused when another log has got into the unfinished target, naming the slot', async () => {
    await fill(move.source);
    const gone = (): Promise<never> => Promise.reject(new Error('gone'));
    const dead = { ...memoryDriver(move.target), append: gone, load: gone };
    await expect(moveLog(move.options(memoryDriver(move.source), dead))).rejects.toThrow('gone');
    const other = memoryStore();
    await fill(other);
    move.target.slots.set('state', new Map(other.slots.get('state')));
    await refused('already_exists', /another log: slot 1 of state differs/);
    await untouched();
  });

  it('is refused when somebody has written behind what was copied, naming the slot', async () => {
    await fill(move.source);
    const dying = { ...memoryDriver(move.target), trim: () => Promise.reject(new Error('gone')) };
    await expect(moveLog(move.options(memoryDriver(move.source), dying))).rejects.toThrow('gone');
    const last = move.source.slots.get('state')?.size ?? 0;
    move.target.slots.get('state')?.set(last + 1, Buffer.from('foreign'));
    await refused('already_exists', new RegExp(`another log: slot ${last + 1} of state differs`));
    await untouched();
  });

  it('is refused when the source is damaged, naming the slot', async () => {
    await fill(move.source);
    move.source.slots.get('audit')?.set(7, Buffer.from('not a batch'));
    await refused('damaged', /the audit log is damaged at slot 7/);
    await untouched();
    move.source.slots.get('audit')?.delete(7);
    await refused('damaged', /the audit log is damaged at slot 7: it is missing/);
  });

  it('is refused when the beginning of a partition is missing and was not given up', async () => {
    await fill(move.source);
    move.source.slots.get('audit')?.delete(1);
    await refused('damaged', /the audit log is damaged at slot 1: it is missing/);
    const { partitions } = await verifyLog(memoryDriver(move.source));
    expect(partitions.map(({ bad }) => bad?.slot)).toEqual([undefined, undefined, 1, undefined]);
  });

  it('is refused from a store where an earlier release left its mark', async () => {
    await fill(move.source);
    const mark = { version: 1, kind: 'import', id: 'x', from: 'there', begunAt: cause.at };
    move.source.snapshots.set('unfinished', Buffer.from(JSON.stringify(mark)));
    await refused('unavailable', /the import from there begun at .* has not ended/);
  });

  it('is refused for a batch that the target does not take, before the source is fenced', async () => {
    const text = 'x'.repeat(60 * 1024);
    const events = Array.from({ length: 6 }, (_, i) =>
      placeEvent(
        draftEvent(uuidV7(realWorld), 'large-1', { type: 'test.large', data: { text } }, cause, undefined),
        i + 1,
        cause.at,
      ),
    );
    const header = { partition: 'state', slot: 1, firstPosition: 1, previous: noHash, writer: 'w' } as const;
    move.source.slots.set('state', new Map([[1, encodeBatch({ ...header, id: uuidV7(realWorld) }, events)]]));
    const small = { ...memoryDriver(move.target), limits: { maxBatchBytes: 350 * 1024 } };
    await expect(moveLog(move.options(memoryDriver(move.source), small))).rejects.toMatchObject({
      code: 'too_large',
      message: expect.stringMatching(/slot 1 of state has \d+ bytes, and the target takes 358400/) as string,
    });
    await untouched();
  });

  it('is refused when the target does not keep what it took, before the source is fenced', async () => {
    await fill(move.source);
    const honest = memoryDriver(move.target);
    const spoilt = (batch: Uint8Array): Uint8Array => batch.map((byte, i) => (i === 120 ? byte ^ 1 : byte));
    const forgetful = {
      ...honest,
      load: async (partition: Partition, slots: readonly StoredSlot[]) =>
        honest.load(
          partition,
          slots.filter(({ slot }) => slot !== 9),
        ),
    };
    await expect(moveLog(move.options(memoryDriver(move.source), forgetful))).rejects.toMatchObject({
      code: 'damaged',
      message: 'the target does not hold slot 9 of state, which it took',
    });
    const liar = {
      ...honest,
      load: async (partition: Partition, slots: readonly StoredSlot[]) =>
        honest.load(
          partition,
          slots.map(({ slot, batch }) => ({ slot, batch: slot === 9 ? spoilt(batch) : batch })),
        ),
    };
    await expect(moveLog(move.options(memoryDriver(move.source), liar))).rejects.toThrow(
      'slot 9 of state differs',
    );
    await untouched();
  });

  it('keeps everyone out of the target until it has ended', async () => {
    await fill(move.source);
    const dying = { ...memoryDriver(move.target), trim: () => Promise.reject(new Error('gone')) };
    await expect(moveLog(move.options(memoryDriver(move.source), dying))).rejects.toThrow('gone');
    await expect(open(move.target)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/the move from the old place begun at .* has not ended/) as string,
    });
    await untouched();
    await move.copy();
    await move.expectMoved();
  });
});
