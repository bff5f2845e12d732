import { beforeEach, describe, expect, it } from 'vitest';
import { realWorld } from '../base/world.ts';
import { copyLog, promoteCopy } from './copy.ts';
import { add, cause, fact, fill, keyring, Move, open } from './copy-testing.ts';
import { partitions } from './event.ts';
import { memoryDriver, memoryStore } from './memory-driver.ts';
import { noKeyring } from './keyring.ts';
import { openLog } from './open-log.ts';
import { silentLog } from '../base/log-sink.ts';
import type { SlotDriver } from './slot-driver.ts';
import { collect } from './testing.ts';
import { verifyLog } from './verify.ts';

let move: Move;
beforeEach(async () => {
  move = new Move();
  await fill(move.source);
});

const copy = (
  source: SlotDriver = memoryDriver(move.source),
  target: SlotDriver = memoryDriver(move.target),
): ReturnType<typeof copyLog> => copyLog({ ...move.options(source, target), progress: () => undefined });
const promote = (): Promise<void> =>
  promoteCopy({ store: memoryDriver(move.target), world: realWorld, keyring, cause });
const reading = () =>
  openLog({
    driver: memoryDriver(move.target),
    keyring: noKeyring,
    world: realWorld,
    writer: 'r',
    sink: silentLog,
    use: 'reading',
  });

describe('a copy of a log', () => {
  it('leaves the source as it is, and has all of it', async () => {
    const before = structuredClone([...move.source.slots]);
    const { partitions: copied, dataKeys } = await copy();
    expect([...move.source.slots]).toEqual(before);
    expect(dataKeys).toBe(2);
    for (const partition of partitions) {
      const kept = [...(move.target.slots.get(partition) ?? [])].sort(([a], [b]) => a - b);
      expect(kept).toEqual([...(move.source.slots.get(partition) ?? [])]);
    }
    expect(copied.map((one) => one.head)).toEqual(
      (await verifyLog(memoryDriver(move.source))).partitions.map((one) => one.head),
    );
    await add(await open(move.source), 'state', 'goes-on', fact(1));
  });

  it('is opened by nobody who would write, can be read, and be brought up to date', async () => {
    await copy();
    await expect(open(move.target)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('a copy of the log of the old place as of') as string,
    });
    const log = await open(move.source);
    await add(log, 'state', 'later-1', fact(1));
    await log.takeSnapshot('presence', [], { trim: true }, cause);
    await copy();
    const copied = await reading();
    expect(await collect(copied.state.read('later-1'))).toHaveLength(1);
    await copied.close();
    expect((await verifyLog(memoryDriver(move.target))).bad).toBeUndefined();
  });

  it('of a log in use has of each partition the beginning, and of state all that the others followed', async () => {
    const log = await open(move.source);
    let written = 0;
    let copying = true;
    const writing = (async () => {
      for (; copying as boolean; written++) {
        await add(log, 'state', `first-${written}`, fact(written));
        await add(log, 'audit', `then-${written}`, fact(written));
        if (written % 10 === 9) await log.takeSnapshot('presence', [], { trim: true }, cause);
        await add(log, 'presence', `seen-${written}`, fact(written));
        await new Promise(setImmediate);
      }
    })();
    await copy();
    copying = false;
    await writing;
    expect(written).toBeGreaterThan(0);
    expect((await verifyLog(memoryDriver(move.target))).bad).toBeUndefined();
    const copied = await reading();
    const streams = async (partition: 'state' | 'audit', name: string) =>
      (await collect(copied[partition].history(0))).filter((e) => e.stream.startsWith(name)).length;
    expect(await streams('state', 'first-')).toBeGreaterThanOrEqual(await streams('audit', 'then-'));
    await copied.close();
  });

  it('goes only into an empty store, and never into one that holds something else', async () => {
    const other = new Move();
    await fill(other.source);
    await expect(copy(undefined, memoryDriver(other.source))).rejects.toMatchObject({
      code: 'already_exists',
    });
    await copy();
    const elsewhere = copyLog({ ...move.options(), from: 'a third place', progress: () => undefined });
    await expect(elsewhere).rejects.toMatchObject({ code: 'already_exists' });
    await expect(move.copy()).rejects.toMatchObject({ code: 'already_exists' });
    move.target = memoryStore();
    await move.copy();
    await expect(copy(undefined, memoryDriver(memoryStore()))).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('that was stopped is not whole, cannot be promoted, and goes on', async () => {
    const driver = memoryDriver(move.target);
    let left = 1;
    const dying: SlotDriver = {
      ...driver,
      load: (...args) => (left-- > 0 ? driver.load(...args) : Promise.reject(new Error('gone'))),
    };
    await expect(copy(undefined, dying)).rejects.toThrow('gone');
    for (const opening of [open(move.target), reading()])
      await expect(opening).rejects.toMatchObject({
        message: expect.stringContaining('Run the same tctl log copy again') as string,
      });
    await expect(promote()).rejects.toMatchObject({ code: 'not_found' });
    await copy();
    await promote();
  });

  it('lives on when it is promoted, and says on its log where it came from', async () => {
    await copy();
    await promote();
    const log = await open(move.target);
    for (const partition of partitions) await add(log, partition, 'own-1', fact(1));
    const [origin] = await collect(log.state.read('fence-state'));
    expect(origin?.fact).toMatchObject({ type: 'log.migrated', data: { from: 'the old place' } });
    const [event] = await collect(log.state.read('secret-1'));
    if (event === undefined) throw new Error('nothing was copied');
    expect(Buffer.from(await log.state.unseal(event, 'key')).toString()).toBe('the key');
    await log.close();
    expect((await verifyLog(memoryDriver(move.target))).bad).toBeUndefined();
    await expect(promote()).rejects.toMatchObject({ code: 'not_found' });
    await expect(copy()).rejects.toMatchObject({ code: 'already_exists' });
  });
});
