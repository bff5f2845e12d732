import { hash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { messageOf } from '../base/errors.ts';
import { realWorld } from '../base/world.ts';
import { type Imported, importLog } from './archive-import.ts';
import { isArchive, openArchive } from './archive-read.ts';
import { type Exported, exportLog } from './archive-write.ts';
import { add, cause, fact, fill, open } from './copy-testing.ts';
import { partitions } from './event.ts';
import { fenced, fenceStream } from './fence.ts';
import { copyOfStore, memoryDriver, memoryStore, type MemoryStore } from './memory-driver.ts';
import type { SlotDriver } from './slot-driver.ts';
import { collect } from './testing.ts';
import { verifyLog } from './verify.ts';

let directory: string;
let path: string;
let source: MemoryStore;
let target: MemoryStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'archive-'));
  path = join(directory, 'log.archive');
  source = memoryStore();
  target = memoryStore();
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const write = (secrets = true, to = path, from = source): Promise<Exported> =>
  exportLog(to, {
    source: memoryDriver(from),
    from: 'the old place',
    exportedAt: cause.at,
    secrets,
    storeKeys: false,
  });

async function read(driver: SlotDriver = memoryDriver(target), from = path): Promise<Imported> {
  const archive = await openArchive(from);
  try {
    return await importLog({ archive, target: driver, to: 'the store', world: realWorld, patienceMs: 0 });
  } finally {
    await archive.close();
  }
}

/** What is kept for ever, and the newest slot of presence: as text, so that a difference can be read. */
const slotsOf = (store: MemoryStore): string[] =>
  partitions.flatMap((name) =>
    [...(store.slots.get(name) ?? [])]
      .sort(([a], [b]) => a - b)
      .slice(name === 'presence' ? -1 : 0)
      .map(([slot, batch]) => `${name} ${slot} ${hash('sha256', batch)}`),
  );

describe('an archive', () => {
  it('is private, counts what it holds, and is verified like a store', async () => {
    await fill(source);
    const done = await write();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(done.fileBytes).toBe(statSync(path).size);
    expect(await isArchive(path)).toBe(true);
    const archive = await openArchive(path);
    expect(archive.digest).toBe(done.digest);
    const found = await verifyLog(archive.driver);
    expect(found.bad).toBeUndefined();
    expect(found.partitions.map(({ head, events }) => ({ head, events }))).toEqual(
      done.partitions.map(({ head, events }) => ({ head, events })),
    );
    await archive.close();
  });

  it('holds no data keys unless they are asked for', async () => {
    await fill(source);
    const [[, key = new Uint8Array()] = []] = source.vault;
    expect((await write(false)).dataKeys).toBe(0);
    expect(readFileSync(path).includes(Buffer.from(key))).toBe(false);
    const other = join(directory, 'other');
    expect((await write(true, other)).dataKeys).toBe(2);
    expect(readFileSync(other).includes(Buffer.from(key))).toBe(true);
  });

  it('is whole though others append while it is written', async () => {
    await fill(source, 50);
    const log = await open(source);
    const driver = memoryDriver(source);
    let n = 0;
    const busy: SlotDriver = {
      ...driver,
      read: async function* (...args) {
        for await (const slot of driver.read(...args)) {
          if (n < 100) await add(log, 'audit', 'busy-1', fact(n++));
          yield slot;
        }
      },
    };
    await exportLog(path, {
      source: busy,
      from: 'here',
      exportedAt: cause.at,
      secrets: true,
      storeKeys: false,
    });
    expect((await read()).status).toBe('whole');
    expect((await verifyLog(memoryDriver(target))).bad).toBeUndefined();
  });

  it('is not written over a file, nor of a store that is empty, damaged or unfinished', async () => {
    await expect(write()).rejects.toMatchObject({ code: 'not_found' });
    await fill(source);
    source.slots.get('state')?.set(5, Buffer.from('not a batch'));
    await expect(write()).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(/state log is damaged at slot 5/) as string,
    });
    expect(await isArchive(path)).toBe(false);
    writeFileSync(path, 'mine');
    await expect(write()).rejects.toMatchObject({ code: 'already_exists' });
    expect(readFileSync(path, 'utf8')).toBe('mine');
    source.snapshots.set('unfinished', Buffer.from('{}'));
    await expect(write(true, join(directory, 'x'))).rejects.toMatchObject({ code: 'damaged' });
  });

  it('is refused when any byte was changed, naming where, and when it was cut anywhere', async () => {
    await fill(source, 3);
    await write();
    const bytes = readFileSync(path);
    const spoilt = join(directory, 'spoilt');
    await fc.assert(
      fc.asyncProperty(
        fc.nat(bytes.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        async (at, flip, cut) => {
          const changed = Buffer.from(bytes);
          changed[at] = (changed[at] ?? 0) ^ flip;
          writeFileSync(spoilt, cut ? bytes.subarray(0, at) : changed);
          const refused = await read(memoryDriver(target), spoilt).catch((e: unknown) => e);
          expect(refused).toMatchObject({ code: 'damaged' });
          const place = /at byte (\d+)/.exec(messageOf(refused))?.[1];
          if (place !== undefined) expect(Number(place)).toBeLessThanOrEqual(at);
          expect(target.slots.size + target.vault.size + target.snapshots.size).toBe(0);
        },
      ),
      { numRuns: 150 },
    );
    truncateSync(path, 0);
    await expect(openArchive(path)).rejects.toMatchObject({ code: 'damaged' });
    await expect(openArchive(join(directory, 'none'))).rejects.toMatchObject({ code: 'not_found' });
    expect(await isArchive(directory)).toBe(false);
  });
});

describe('importing', () => {
  it('brings a log back whole into an empty store, with its secrets', async () => {
    await fill(source);
    await write();
    expect(await read()).toMatchObject({ status: 'whole', dataKeys: 2 });
    expect(slotsOf(target)).toEqual(slotsOf(source));
    const log = await open(target);
    for (const partition of partitions) {
      await add(log, partition, 'after-1', fact(1));
      expect(await log[partition].head()).toBe((await (await open(source))[partition].head()) + 1);
    }
    const [event] = await collect(log.state.read('secret-1'));
    if (event === undefined) throw new Error('nothing came back');
    expect(Buffer.from(await log.state.unseal(event, 'key')).toString()).toBe('the key');
  });

  it('changes nothing in a store that has gone on: what was revoked and destroyed since stays so', async () => {
    await fill(source);
    await write();
    const log = await open(source);
    const [event] = await collect(log.state.read('secret-1'));
    if (event === undefined) throw new Error('nothing was stored');
    await add(log, 'state', 'user-1', { type: 'test.revoked', data: {} });
    await log.state.destroySecrets(event);
    const before = copyOfStore(source);
    expect(await read(memoryDriver(source))).toEqual({ status: 'nothing', partitions: [], dataKeys: 0 });
    expect(slotsOf(source)).toEqual(slotsOf(before));
    expect(source.vault).toEqual(before.vault);
    expect(source.snapshots).toEqual(before.snapshots);
  });

  it('appends what a store lacks, and brings back no secret that was destroyed there', async () => {
    await fill(source);
    const behind = copyOfStore(source);
    const log = await open(source);
    await add(log, 'state', 'secret-2', { ...fact(2), secrets: { key: Buffer.from('later') } });
    await add(log, 'audit', 'a-1', fact(7));
    await write();
    behind.vault.clear();
    expect(await read(memoryDriver(behind))).toEqual({
      status: 'appended',
      partitions: [
        { partition: 'state', slots: 1 },
        { partition: 'audit', slots: 1 },
      ],
      dataKeys: 2,
    });
    expect(slotsOf(behind)).toEqual(slotsOf(source));
    const [, , later = ''] = [...source.vault.keys()];
    expect([...behind.vault.keys()].sort()).toEqual([later, 'data-key/log-authenticity']);
    await add(await open(behind), 'state', 'a-1', fact(1));
  });

  it('goes on over what was trimmed at either side', async () => {
    await fill(source);
    const behind = copyOfStore(source);
    const log = await open(source);
    for (let n = 0; n < 3; n++) {
      await add(log, 'presence', 'a-1', fact(n));
      await log.takeSnapshot('presence', [], { trim: true }, cause);
    }
    await write();
    expect(await read(memoryDriver(behind))).toMatchObject({ status: 'appended' });
    expect((await verifyLog(memoryDriver(behind))).bad).toBeUndefined();
    await add(await open(behind), 'presence', 'a-1', fact(1));
    expect(await read(memoryDriver(source))).toMatchObject({ status: 'nothing' });
  });

  it('refuses a store that went another way, naming the slot, and leaves it as it was', async () => {
    await fill(source);
    const other = copyOfStore(source);
    const last = source.slots.get('state')?.size ?? 0;
    await add(await open(source), 'state', 'a-1', fact(1));
    await add(await open(other), 'state', 'b-1', fact(1));
    await write();
    await expect(read(memoryDriver(other))).rejects.toMatchObject({
      code: 'already_exists',
      message: `the store holds another log: slot ${last + 1} of state differs`,
    });
    await add(await open(other), 'state', 'b-1', fact(2));
    await fill(target);
    await expect(read()).rejects.toThrow(/slot 1 of state differs/);
  });

  it('leaves a store sound and usable that goes another way while it is appended to', async () => {
    await fill(source);
    const behind = copyOfStore(source);
    const log = await open(source);
    for (let n = 0; n < 3; n++) await add(log, 'state', 'a-1', fact(n));
    await write();
    const daemon = await open(behind);
    const driver = memoryDriver(behind);
    const raced: SlotDriver = {
      ...driver,
      append: async (...args) => {
        await add(daemon, 'state', `b-${args[1].slot}`, fact(1));
        return driver.append(...args);
      },
    };
    await expect(read(raced)).rejects.toMatchObject({ code: 'already_exists' });
    await add(daemon, 'state', 'b-1', fact(1));
    await add(await open(behind), 'state', 'b-2', fact(1));
    expect((await verifyLog(memoryDriver(behind))).bad).toBeUndefined();
  });

  it('refuses a store whose log has moved', async () => {
    await fill(source);
    const behind = copyOfStore(source);
    await add(await open(source), 'state', 'a-1', fact(1));
    await write();
    await add(await open(behind), 'audit', fenceStream('audit'), fenced('c1', 'etcd'));
    await expect(read(memoryDriver(behind))).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('ends when it is run again after it was stopped at any call, and nobody opens the store before', async () => {
    await fill(source, 6);
    await write();
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(60), { maxLength: 4 }), async (deaths) => {
        target = memoryStore();
        for (const calls of deaths) {
          let left = calls;
          const driver = memoryDriver(target);
          const call = <T>(act: () => Promise<T>): Promise<T> =>
            left-- > 0 ? act() : Promise.reject(new Error('gone'));
          const { vault, snapshots, meta } = driver;
          const dying: SlotDriver = {
            ...driver,
            load: (...args) => call(() => driver.load(...args)),
            trim: (...args) => call(() => driver.trim(...args)),
            vault: { ...vault, create: (...args) => call(() => vault.create(...args)) },
            snapshots: { ...snapshots, create: (...args) => call(() => snapshots.create(...args)) },
            meta: {
              ...meta,
              create: (...args) => call(() => meta.create(...args)),
              remove: (...args) => call(() => meta.remove(...args)),
            },
          };
          const ended = await read(dying).then(
            () => true,
            () => false,
          );
          if (ended) break;
          if (target.meta.has('unfinished'))
            await expect(open(target)).rejects.toMatchObject({ code: 'unavailable' });
          else expect(slotsOf(target)).toEqual([]);
        }
        await read();
        expect(slotsOf(target)).toEqual(slotsOf(source));
        expect(target.vault).toEqual(source.vault);
        await add(await open(target), 'state', 'after-1', fact(1));
      }),
      { numRuns: 40 },
    );
  });
});
