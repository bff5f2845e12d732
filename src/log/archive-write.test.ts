import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openArchive } from './archive-read.ts';
import { type Exported, exportLog } from './archive-write.ts';
import { add, cause, fact, open } from './copy-testing.ts';
import type { Partition } from './event.ts';
import { memoryDriver, type MemoryStore, memoryStore } from './memory-driver.ts';
import type { SlotDriver } from './slot-driver.ts';

let directory: string;
let path: string;
let store: MemoryStore;
let driver: SlotDriver;
/** Two events of state, six of presence. */
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'archive-'));
  path = join(directory, 'log.archive');
  store = memoryStore();
  driver = memoryDriver(store);
  const log = await open(store);
  for (let n = 0; n < 2; n++) await add(log, 'state', 'a-1', fact(n));
  for (let n = 0; n < 6; n++) await add(log, 'presence', 'a-1', fact(n));
  await log.close();
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const write = (source: SlotDriver = driver): Promise<Exported> =>
  exportLog(path, { source, from: 'here', exportedAt: cause.at, secrets: true, storeKeys: false });
/** Three snapshots: what the second does not need is trimmed. */
async function compact(): Promise<void> {
  const log = await open(store);
  for (let n = 0; n < 3; n++) {
    const views = [{ name: 'seen', position: (await log.presence.head()) + 1, state: { n } }];
    await log.takeSnapshot('presence', views, { trim: true }, cause);
    await add(log, 'presence', 'a-1', fact(n));
  }
  await log.close();
}
/** The store, where `act` happens before presence is read for the first time. */
function before(act: () => Promise<void>): SlotDriver {
  let isOver = false;
  return {
    ...driver,
    read: async function* (partition, ...rest) {
      if (partition === 'presence' && !isOver) {
        isOver = true;
        await act();
      }
      yield* driver.read(partition, ...rest);
    },
  };
}
/** The store, where `act` happens in the place of reading this slot. */
const insteadOf = (name: Partition, slot: number, act: () => Promise<void>): SlotDriver => ({
  ...driver,
  read: async function* (partition, ...rest) {
    for await (const one of driver.read(partition, ...rest))
      if (partition === name && one.slot === slot) await act();
      else yield one;
  },
});
const nothing = (): Promise<void> => Promise.resolve();
const overtaken = {
  code: 'unavailable',
  message: 'presence was compacted while it was read: export again',
};

describe('an export beside a compaction', () => {
  it('begins with what the snapshot in it needs', async () => {
    await compact();
    const { floor } = await driver.bounds('presence');
    expect(floor).toBeGreaterThan(1);
    const { partitions, snapshots } = await write();
    expect(snapshots).toBe(1);
    const [, presence] = partitions;
    expect(presence).toMatchObject({ firstSlot: expect.any(Number) as number, lastSlot: 12 });
    const archive = await openArchive(path);
    expect(await archive.driver.bounds('presence')).toEqual({ floor: presence?.firstSlot, head: 12 });
    await archive.close();
  });

  it('is given up when the beginning is trimmed of what had no snapshot before', async () => {
    await expect(write(before(compact))).rejects.toMatchObject(overtaken);
    expect(readdirSync(directory)).toEqual([]);
    expect((await write()).partitions[1]).toMatchObject({ lastSlot: 12 });
  });

  it('is given up when the snapshot is replaced while it is read', async () => {
    await compact();
    const get: SlotDriver['snapshots']['get'] = (key) =>
      key.includes('/view/') ? Promise.resolve(undefined) : driver.snapshots.get(key);
    const source = { ...driver, snapshots: { ...driver.snapshots, get } };
    await expect(write(source)).rejects.toMatchObject(overtaken);
    expect(readdirSync(directory)).toEqual([]);
  });

  it('is given up when slots are trimmed ahead of it', async () => {
    const trimmed = insteadOf('presence', 3, () => driver.trim('presence', 4));
    await expect(write(trimmed)).rejects.toMatchObject(overtaken);
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('an export', () => {
  it.each([
    ['state', 1],
    ['state', 2],
    ['presence', 1],
    ['presence', 3],
  ] as const)('of a log without slot %s %i, which nobody trimmed, names it', async (name, slot) => {
    await add(await open(store), 'state', 'a-1', fact(2));
    await expect(write(insteadOf(name, slot, nothing))).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(new RegExp(`${name} log .* slot ${slot}.* missing`)) as string,
    });
    expect(readdirSync(directory)).toEqual([]);
  });

  it('of a log whose beginning was trimmed without a snapshot is refused', async () => {
    await driver.trim('presence', 4);
    await expect(write()).rejects.toMatchObject({
      code: 'damaged',
      message: 'the log: the beginning of presence was trimmed, and no snapshot tells what it held',
    });
  });

  it('leaves a file alone that appeared under its name meanwhile', async () => {
    const source = before(() => {
      writeFileSync(path, 'mine');
      return nothing();
    });
    await expect(write(source)).rejects.toMatchObject({ code: 'already_exists' });
    expect(readFileSync(path, 'utf8')).toBe('mine');
    expect(readdirSync(directory)).toEqual(['log.archive']);
  });

  it('ends with what the store throws, and leaves nothing behind', async () => {
    const ours = before(() => Promise.reject(new TypeError('ours')));
    await expect(write(ours)).rejects.toThrow('ours');
    expect(readdirSync(directory)).toEqual([]);
  });
});
