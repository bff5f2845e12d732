import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realWorld } from '../base/world.ts';
import { type Imported, importLog } from './archive-import.ts';
import { openArchive } from './archive-read.ts';
import { exportLog } from './archive-write.ts';
import { add, cause, fact, fill, open } from './copy-testing.ts';
import { addStoreKey } from './keyring-store.ts';
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

async function write(secrets: boolean): Promise<void> {
  rmSync(path, { force: true });
  await exportLog(path, {
    source: memoryDriver(source),
    from: 'the old place',
    exportedAt: cause.at,
    secrets,
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

  it('with secrets carries the keyring of the store, which goes into meta', async () => {
    await fill(source);
    const id = await addStoreKey(memoryDriver(source));
    await write(false);
    const without = memoryStore();
    await read(without);
    expect([...without.meta.keys()]).toEqual([]);
    await write(true);
    const target = memoryStore();
    await read(target);
    expect([...target.meta.keys()]).toEqual([`key-encryption-key/00000001-${id}`]);
    expect(target.vault).toEqual(source.vault);
    expect(target.floors.get('presence')).toBe(Math.min(...(target.slots.get('presence')?.keys() ?? [])));
  });
});
