import { beforeEach, describe, expect, it } from 'vitest';
import { realWorld } from '../base/world.ts';
import { add, cause, fact, fill, keyring, Move, open } from './copy-testing.ts';
import { type Partition, partitions } from './event.ts';
import { memoryDriver, memoryStore } from './memory-driver.ts';
import type { SlotDriver } from './slot-driver.ts';
import { takeBack, type TakenBack } from './take-back.ts';
import { verifyLog } from './verify.ts';

let move: Move;
beforeEach(async () => {
  move = new Move();
  await fill(move.source);
});

const back = (target: SlotDriver = memoryDriver(move.target)): Promise<TakenBack> =>
  takeBack({ source: memoryDriver(move.source), target, world: realWorld, keyring, cause });

/** The log lives at the source, and nowhere else. */
async function expectBack(): Promise<void> {
  const log = await open(move.source);
  for (const partition of partitions) await add(log, partition, 'back-1', fact(1));
  await log.close();
  await expect(open(move.target)).rejects.toMatchObject({
    code: 'unavailable',
    message: 'the move of the log to this store was taken back: point storage at the store it came from',
  });
  expect((await verifyLog(memoryDriver(move.source))).bad).toBeUndefined();
}

describe('taking back a move that has ended', () => {
  it('lets the log go on at the source while nothing was written at the target', async () => {
    await move.copy();
    expect(await back()).toBe('after it ended');
    await expectBack();
    await expect(back()).rejects.toMatchObject({ code: 'not_found' });
  });

  it('closes the target for an auth server that has opened it and written nothing', async () => {
    await move.copy();
    const there = await open(move.target);
    await back();
    for (const partition of partitions)
      await expect(add(there, partition, 'late-1', fact(1))).rejects.toMatchObject({
        code: 'unavailable',
        message: 'the move of the log to this store was taken back: point storage at the store it came from',
      });
    await there.close();
    await expectBack();
  });

  it.each(partitions)(
    'is refused once anything was written to %s there, which goes on',
    async (partition) => {
      await move.copy();
      const there = await open(move.target);
      await add(there, partition, 'new-1', fact(1));
      await expect(back()).rejects.toMatchObject({
        code: 'already_exists',
        message: expect.stringMatching(
          /^the log goes on there: test\.happened was written at .* by admin/,
        ) as string,
      });
      for (const one of partitions) await add(there, one, 'new-2', fact(2));
      await there.close();
      await expect(add(await open(move.source), 'state', 'b-1', fact(1))).rejects.toMatchObject({
        code: 'unavailable',
      });
    },
  );

  it.each(partitions)('loses against whoever writes to %s just before it closes that', async (partition) => {
    await move.copy();
    const there = await open(move.target);
    const driver = memoryDriver(move.target);
    let raced = false;
    const racing: SlotDriver = {
      ...driver,
      append: async (where: Partition, after, batch) => {
        if (where === partition && !raced) {
          raced = true;
          await add(there, partition, 'raced-1', fact(1));
        }
        return driver.append(where, after, batch);
      },
    };
    await expect(back(racing)).rejects.toMatchObject({ code: 'already_exists' });
    // What was closed for a moment takes what is new again.
    for (const one of partitions) await add(there, one, 'new-2', fact(2));
    expect((await verifyLog(driver)).bad).toBeUndefined();
    await there.close();
  });

  it.each([2, 3, 4, 5])(
    'that has lost, and is stopped at its write number %d, closes nothing when it is run again',
    async (dies) => {
      await move.copy();
      const there = await open(move.target);
      const driver = memoryDriver(move.target);
      let writes = 0;
      const dying: SlotDriver = {
        ...driver,
        append: async (...args) => {
          if (++writes > dies) throw new Error('gone');
          if (writes === 2) await add(there, 'audit', 'raced-1', fact(1));
          return driver.append(...args);
        },
      };
      await expect(back(dying)).rejects.toThrow('gone');
      await expect(back()).rejects.toMatchObject({ code: 'already_exists' });
      for (const one of partitions) await add(there, one, 'new-2', fact(2));
      await there.close();
    },
  );

  it.each(Array.from({ length: 12 }, (_, n) => n))(
    'that is stopped at its write number %d ends when it is run again',
    async (dies) => {
      await move.copy();
      let left = dies;
      const mortal = (driver: SlotDriver): SlotDriver => ({
        ...driver,
        append: async (...args) => {
          if (left-- <= 0) throw new Error('gone');
          return driver.append(...args);
        },
      });
      const ended = await takeBack({
        source: mortal(memoryDriver(move.source)),
        target: mortal(memoryDriver(move.target)),
        world: realWorld,
        keyring,
        cause,
      }).catch((e: unknown) => (e as Error).message);
      // Each partition is closed, and opened again.
      const writes = 2 * partitions.length;
      expect(ended).toBe(dies < writes ? 'gone' : 'after it ended');
      if (dies < writes) await back();
      await expectBack();
    },
  );

  it('is for the store that the log was moved to, and no other', async () => {
    await move.copy();
    const other = new Move();
    await fill(other.source);
    for (const driver of [memoryDriver(memoryStore()), memoryDriver(other.source)])
      await expect(back(driver)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('can be followed by a move to another store', async () => {
    await move.copy();
    await back();
    await expect(move.copy()).rejects.toMatchObject({ code: 'already_exists' });
    move.target = memoryStore();
    await move.copy();
    await move.expectMoved();
  });
});
