import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../base/log-sink.ts';
import { realWorld } from '../base/world.ts';
import { type Imported, importLog } from './archive-import.ts';
import { openArchive } from './archive-read.ts';
import { exportLog } from './archive-write.ts';
import { add, cause, fact, fill, open } from './copy-testing.ts';
import { moveLog } from './move.ts';
import { addStoreKey, openStoreKeyring } from './keyring-store.ts';
import { openLog } from './open-log.ts';
import { copyOfStore, memoryDriver, memoryStore, type MemoryStore } from './memory-driver.ts';

let directory: string;
let path: string;
let source: MemoryStore;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'archive-'));
  path = join(directory, 'log.archive');
  source = memoryStore();
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

async function write(secrets: boolean, storeKeys = false): Promise<void> {
  rmSync(path, { force: true });
  await exportLog(path, {
    source: memoryDriver(source),
    from: 'the old place',
    exportedAt: cause.at,
    secrets,
    storeKeys,
  });
}

async function read(target: MemoryStore): Promise<Imported> {
  const archive = await openArchive(path);
  try {
    return await importLog({
      archive,
      target: memoryDriver(target),
      to: 'the store',
      world: realWorld,
      patienceMs: 0,
    });
  } finally {
    await archive.close();
  }
}

describe('the secrets of an archive', () => {
  it('never brings a data key back that the store has destroyed, nor the older form of one that was rewrapped', async () => {
    await fill(source);
    const behind = copyOfStore(source);
    await add(await open(source), 'state', 'secret-2', { ...fact(1), secrets: { key: Buffer.from('2') } });
    await add(await open(source), 'state', 'secret-3', { ...fact(1), secrets: { key: Buffer.from('3') } });
    await write(true);
    const [rewrapped = '', destroyed = ''] = [...source.vault.keys()].filter((key) => !behind.vault.has(key));
    await memoryDriver(behind).vault.destroy(destroyed);
    await memoryDriver(behind).vault.create(rewrapped, Buffer.from('under a newer key'));
    expect(await read(behind)).toMatchObject({ status: 'appended', dataKeys: 2 });
    expect(behind.vault.has(destroyed)).toBe(false);
    expect(Buffer.from(behind.vault.get(rewrapped) ?? []).toString()).toBe('under a newer key');
  });

  /** As a store on the network without `key_file`: its own keys seal. */
  async function fillByOwnKeys(): Promise<string> {
    const id = await addStoreKey(memoryDriver(source));
    const keyring = openStoreKeyring(memoryDriver(source));
    const options = { keyring, world: realWorld, writer: 'w', sink: silentLog };
    const log = await openLog({ driver: memoryDriver(source), ...options });
    await add(log, 'state', 'secret-1', { ...fact(1), secrets: { key: Buffer.from('1') } });
    await log.close();
    return id;
  }

  it('are wrapped, without the keys that open them', async () => {
    await fill(source);
    const id = await addStoreKey(memoryDriver(source));
    const [, key = Buffer.of()] = [...source.meta].find(([name]) => name.endsWith(id)) ?? [];
    await write(true);
    expect(readFileSync(path).includes(Buffer.from(key))).toBe(false);
    const target = memoryStore();
    await read(target);
    expect([...target.meta.keys()]).toEqual([]);
    expect(target.vault).toEqual(source.vault);
    expect(target.floors.get('presence')).toBe(Math.min(...(target.slots.get('presence')?.keys() ?? [])));
  });

  it('of a store that opens them itself are not given away but by a word of their own', async () => {
    const id = await fillByOwnKeys();
    await expect(write(true)).rejects.toMatchObject({
      code: 'bad_request',
      message: expect.stringMatching(new RegExp(`${id}.*archive alone would open every secret`)) as string,
    });
    expect(readdirSync(directory)).toEqual([]);
    await write(false);
    const without = memoryStore();
    await read(without);
    expect(without.meta.size + without.vault.size).toBe(0);
    await write(true, true);
    const target = memoryStore();
    await read(target);
    expect([...target.meta.keys()]).toEqual([`key-encryption-key/00000001-${id}`]);
    expect(target.vault).toEqual(source.vault);
  });

  it('do not go to another store in a copy either, unless that is asked for', async () => {
    const id = await fillByOwnKeys();
    const target = memoryStore();
    const copy = (storeKeys: boolean): Promise<unknown> =>
      moveLog({
        ...{ source: memoryDriver(source), target: memoryDriver(target), from: 'the old', to: 'the new' },
        ...{ world: realWorld, keyring: openStoreKeyring(memoryDriver(source)), cause, storeKeys },
        progress: () => undefined,
      });
    await expect(copy(false)).rejects.toMatchObject({ code: 'bad_request' });
    expect(target.slots.size + target.meta.size + target.vault.size).toBe(0);
    expect(await copy(true)).toMatchObject({ status: 'moved' });
    expect([...target.meta.keys()]).toEqual([`key-encryption-key/00000001-${id}`]);
  });
});
