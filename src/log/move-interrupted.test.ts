import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { realWorld } from '../base/world.ts';
import { add, cause, fact, fill, keyring, Move, open } from './copy-testing.ts';
import { moveLog } from './move.ts';
import { takeBack } from './take-back.ts';
import { partitions, type StreamName } from './event.ts';
import { memoryDriver, memoryStore } from './memory-driver.ts';
import type { SlotDriver } from './slot-driver.ts';
import { collect } from './testing.ts';

let move: Move;
beforeEach(() => {
  move = new Move();
});

/** A process that dies at its n-th call of a store: before the store has done it, in the middle, or after. */
function mortal(n: number): { wrap: (driver: SlotDriver) => SlotDriver; lived: () => boolean } {
  let left = n;
  const call = async <T>(act: () => Promise<T>): Promise<T> => {
    if (left <= 0) throw new Error('gone');
    left -= 0.5;
    if (left <= 0) throw new Error('gone');
    const answer = await act();
    left -= 0.5;
    if (left <= 0) throw new Error('gone');
    return answer;
  };
  const blobs = (store: SlotDriver['vault']): SlotDriver['vault'] => ({
    create: (...args) => call(() => store.create(...args)),
    replace: (...args) => call(() => store.replace(...args)),
    get: (...args) => call(() => store.get(...args)),
    destroy: (...args) => call(() => store.destroy(...args)),
    remove: (...args) => call(() => store.remove(...args)),
    list: (...args) => call(() => store.list(...args)),
  });
  return {
    lived: () => left > 0,
    wrap: (driver) => {
      const wrapped: SlotDriver = {
        ...driver,
        append: (...args) => call(() => driver.append(...args)),
        load: inTwo((...args) => call(() => driver.load(...args))),
        trim: (...args) => call(() => driver.trim(...args)),
        read: async function* (...args) {
          yield* await call(() => collect(driver.read(...args)));
        },
        vault: blobs(driver.vault),
        bounds: (...args) => call(() => driver.bounds(...args)),
        snapshots: blobs(driver.snapshots),
        meta: blobs(driver.meta),
      };
      return wrapped;
    },
  };
}

type Load = SlotDriver['load'];

/** The odd ones first, as if they had been under way at once. */
const inTwo =
  (load: Load): Load =>
  async (partition, slots) => {
    for (const rest of [1, 0])
      await load(
        partition,
        slots.filter(({ slot }) => slot % 2 === rest),
      );
  };

describe('a move that is stopped at any call of a store, again and again', () => {
  it('ends when it is run once more, and nothing is lost', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 520 }), fc.boolean()), { maxLength: 6 }),
        fc.boolean(),
        async (deaths, compacting) => {
          move = new Move();
          await fill(move.source, 8);
          const acknowledged: string[] = [];
          for (const [i, [halves, afterwards]] of deaths.entries()) {
            const { wrap, lived } = mortal(halves / 2);
            await moveLog(
              move.options(wrap(memoryDriver(move.source)), wrap(memoryDriver(move.target))),
            ).catch((e: unknown) => {
              if (lived()) throw e;
            });
            const log = await open(move.source);
            if (!afterwards || log.stats().state.fence || log.stats().presence.fence) continue;
            await add(log, 'state', `between-${i}`, fact(i));
            acknowledged.push(`between-${i}`);
            if (compacting) await log.takeSnapshot('presence', [], { trim: true }, cause);
          }
          await move.copy();
          await move.expectMoved();
          const log = await open(move.target);
          for (const stream of acknowledged) expect(await log.state.revision(stream as StreamName)).toBe(1);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('giving up a move', () => {
  const abort = (to: SlotDriver | undefined): Promise<unknown> =>
    takeBack({ source: memoryDriver(move.source), target: to, world: realWorld, keyring, cause });

  /** Fences the source, and dies before the target has opened. */
  async function halfWay(): Promise<void> {
    await fill(move.source);
    const driver = memoryDriver(move.target);
    const dying: SlotDriver = {
      ...driver,
      append: (partition, after, batch) =>
        Buffer.from(batch).includes('log.migrated')
          ? Promise.reject(new Error('gone'))
          : driver.append(partition, after, batch),
    };
    await expect(moveLog(move.options(memoryDriver(move.source), dying))).rejects.toThrow('gone');
    await expect(add(await open(move.source), 'state', 'b-1', fact(1))).rejects.toMatchObject({
      code: 'unavailable',
    });
  }

  it('lets the log go on at the source, and never at the target', async () => {
    await halfWay();
    await abort(memoryDriver(move.target));
    const log = await open(move.source);
    for (const partition of partitions) await add(log, partition, 'b-1', fact(1));
    await expect(open(move.target)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(move.copy()).rejects.toMatchObject({ code: 'already_exists' });
    await add(log, 'state', 'b-1', fact(2));
    move.target = memoryStore();
    await move.copy();
    await move.expectMoved();
  });

  it('stops a copy that is still at work', async () => {
    await halfWay();
    const driver = memoryDriver(move.target);
    const late: SlotDriver = {
      ...driver,
      append: async (partition, after, batch) => {
        if (partition === 'state' && Buffer.from(batch).includes('log.migrated'))
          await abort(memoryDriver(move.target));
        return driver.append(partition, after, batch);
      },
    };
    await expect(moveLog(move.options(memoryDriver(move.source), late))).rejects.toMatchObject({
      code: 'unavailable',
    });
    await add(await open(move.source), 'state', 'b-1', fact(1));
    await expect(open(move.target)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('is refused when the log goes on at the target', async () => {
    await fill(move.source);
    await move.copy();
    await add(await open(move.target), 'state', 'goes-on', fact(1));
    await expect(abort(memoryDriver(move.target))).rejects.toMatchObject({ code: 'already_exists' });
    await add(await open(move.target), 'state', 'goes-on', fact(2));
  });

  it('is refused when nothing is fenced, and for a target that is another', async () => {
    await fill(move.source);
    await expect(abort(memoryDriver(move.target))).rejects.toMatchObject({ code: 'not_found' });
    const empty = memoryStore();
    await halfWay();
    await expect(abort(memoryDriver(empty))).rejects.toThrow(/this is not where the log was being moved to/);
  });

  it('takes the word of the caller when the target is lost', async () => {
    await halfWay();
    await abort(undefined);
    await add(await open(move.source), 'state', 'b-1', fact(1));
  });
});
