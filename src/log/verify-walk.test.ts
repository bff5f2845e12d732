import { beforeEach, describe, expect, it } from 'vitest';
import { type Authenticity, readAuthenticity } from './authenticity.ts';
import { add, cause, fact, keyring, open } from './copy-testing.ts';
import { memoryDriver, type MemoryStore, memoryStore } from './memory-driver.ts';
import { rewriteFrom } from './signed-head-testing.ts';
import { verifyLog, type VerifyOptions } from './verify.ts';

let store: MemoryStore;
/** In `state` slots 1 to 8; a snapshot at 5, whose own fact is 5. */
beforeEach(async () => {
  store = memoryStore();
  const log = await open(store);
  const events = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++)
      await add(log, 'state', 'a-1', { type: 'test.happened', data: { text: 'as it was' } });
  };
  await events(4);
  await log.takeSnapshot('state', [], { trim: false }, cause);
  await events(3);
  await add(log, 'audit', 'b-1', fact(1));
  await log.close();
});
const slots = (): Map<number, Uint8Array> => store.slots.get('state') ?? expect.unreachable();
const walked = async (options: VerifyOptions = {}) => {
  const { bad, partitions } = await verifyLog(memoryDriver(store), options);
  const { firstSlot, lastSlot, events, position } = partitions[0] ?? expect.unreachable();
  return { bad, firstSlot, lastSlot, events, position };
};
const badAt = (slot: number, reason: unknown) => ({ bad: { partition: 'state', slot, reason } });

describe('reading the batches of a log', () => {
  it('counts them to the end when all are good', async () => {
    expect(await walked()).toEqual({ bad: undefined, firstSlot: 1, lastSlot: 8, events: 8, position: 8 });
    const authenticity = await readAuthenticity({ vault: memoryDriver(store).vault, keyring });
    expect(await walked({ authenticity })).toMatchObject({ bad: undefined, lastSlot: 8 });
  });

  it.each([1, 4, 7])('ends at slot %i when its bytes are not a batch, and says why', async (slot) => {
    slots().set(slot, Buffer.from('not a batch'));
    expect(await walked()).toMatchObject({
      ...badAt(slot, 'too short for a batch'),
      ...{ lastSlot: slot - 1, events: slot - 1 },
    });
  });

  it('ends where one is missing, at the beginning as well', async () => {
    slots().delete(4);
    expect(await walked()).toMatchObject({ ...badAt(4, 'it is missing'), lastSlot: 3, events: 3 });
    for (const slot of [1, 2, 3]) slots().delete(slot);
    expect(await walked()).toMatchObject({ ...badAt(1, 'it is missing'), firstSlot: 5 });
  });

  it('ends where one does not follow on the one before', async () => {
    slots().set(4, slots().get(3) ?? expect.unreachable());
    expect(await walked()).toMatchObject({
      ...badAt(4, expect.stringMatching(/slot 3/)),
      ...{ lastSlot: 3, events: 3 },
    });
  });

  it('ends at the first whose MAC is not under the key of the log, when it has that key', async () => {
    rewriteFrom(store, 'state', 6);
    expect(await walked()).toMatchObject({ bad: undefined, lastSlot: 8 });
    const { vault } = memoryDriver(store);
    const authenticity = await readAuthenticity({ vault, keyring });
    expect(await walked({ authenticity })).toMatchObject(
      badAt(6, expect.stringMatching(/^its MAC is under/)),
    );
  });

  it('ends at the slot of a snapshot that is of another batch', async () => {
    rewriteFrom(store, 'state', 3);
    expect(await walked()).toMatchObject(badAt(5, 'it is not the batch that the snapshot was taken at'));
  });

  it('misses what a snapshot knows of', async () => {
    for (const slot of [8, 7, 6, 5, 4]) slots().delete(slot);
    expect(await walked()).toMatchObject({
      ...badAt(4, 'it is missing: a snapshot was taken at slot 5'),
      lastSlot: 3,
    });
  });

  it('takes a trimmed beginning only with a snapshot after it', async () => {
    await memoryDriver(store).trim('state', 3);
    expect(await walked()).toEqual({ bad: undefined, firstSlot: 3, lastSlot: 8, events: 6, position: 8 });
    await memoryDriver(store).trim('state', 6);
    const reason = 'it is missing, and no snapshot tells what was trimmed';
    expect(await walked()).toMatchObject({ ...badAt(5, reason), firstSlot: 6, events: 3 });
  });

  it('reports a fault of ours as such, not as damage', async () => {
    const authenticity = await readAuthenticity({ vault: memoryDriver(store).vault, keyring });
    if (authenticity === undefined) throw new Error('the vault has the key');
    const holds: Authenticity['holds'] = (purpose, ...rest) => {
      if (purpose === 'batch') throw new TypeError('ours');
      return authenticity.holds(purpose, ...rest);
    };
    const broken = { ...authenticity, holds };
    await expect(walked({ authenticity: broken })).rejects.toThrow('ours');
  });
});
