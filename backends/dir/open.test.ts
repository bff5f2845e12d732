import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SlotDriver } from '../../src/log/slot-driver.ts';
import { collect } from '../../src/log/testing.ts';
import { maxBatchBytes } from './database.ts';
import { refuseNetworkFileSystem } from './file-system.ts';
import { openDirectoryDriver, openDirectoryReader } from './open.ts';

let root: string;
let path: string;
const open: SlotDriver[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'log-dir-'));
  path = join(root, 'log');
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((driver) => driver.close()));
  rmSync(root, { recursive: true, force: true });
});

async function opened(where = path): Promise<SlotDriver> {
  const driver = await openDirectoryDriver({ path: where });
  open.push(driver);
  return driver;
}

/** Names, sizes, modes and times of all files. */
const state = (directory: string): unknown =>
  readdirSync(directory).map((name) => {
    const { size, mode, mtimeMs } = statSync(join(directory, name));
    return { name, size, mode, mtimeMs };
  });

const slots = async (driver: SlotDriver): Promise<number[]> =>
  (await collect(driver.read('state', 1))).map(({ slot }) => slot);

describe('opening a directory store', () => {
  it('makes a private directory with private files', async () => {
    const driver = await opened();
    await driver.commit('state', 1, Buffer.from('x'));
    expect(statSync(path).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(path)) expect(statSync(join(path, name)).mode & 0o077, name).toBe(0);
  });

  it('refuses a directory or a file that others can read, naming the mend', async () => {
    mkdirSync(path, { mode: 0o755 });
    chmodSync(path, 0o755);
    const refusal = (mend: string): unknown =>
      expect.objectContaining({ code: 'misconfigured', message: expect.stringContaining(mend) as string });
    await expect(openDirectoryDriver({ path })).rejects.toEqual(refusal(`chmod 0700 ${path}`));
    chmodSync(path, 0o700);
    writeFileSync(join(path, 'log.db'), '');
    chmodSync(join(path, 'log.db'), 0o644);
    await expect(openDirectoryDriver({ path })).rejects.toEqual(refusal(`chmod 0600 ${path}/log.db`));
  });

  it('refuses a link in place of the log, wherever it leads, and changes nothing there', async () => {
    const elsewhere = join(root, 'elsewhere');
    mkdirSync(path, { mode: 0o700 });
    for (const target of [elsewhere, '/dev/null', root]) {
      symlinkSync(target, join(path, 'log.db'));
      await expect(openDirectoryDriver({ path })).rejects.toMatchObject({
        code: 'misconfigured',
        message: expect.stringContaining(`${path}/log.db is not a file of its own`) as string,
      });
      rmSync(join(path, 'log.db'));
    }
    expect(existsSync(elsewhere)).toBe(false);
    expect(readdirSync(path)).toEqual([]);
  });

  it('refuses network file systems by their magic number', () => {
    for (const type of [0x6969, 0xff534d42, -11317950, 0x65735546])
      expect(() => {
        refuseNetworkFileSystem('/x', type);
      }).toThrow(expect.objectContaining({ code: 'misconfigured' }));
    // ext4, xfs, btrfs, tmpfs, overlay
    for (const type of [0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630])
      refuseNetworkFileSystem('/x', type);
  });

  it('refuses a file that is no database, one that is another, and a newer form', async () => {
    mkdirSync(path, { mode: 0o700 });
    const file = join(path, 'log.db');
    writeFileSync(file, 'no database at all, but long enough to look at'.repeat(30), { mode: 0o600 });
    await expect(openDirectoryDriver({ path })).rejects.toMatchObject({ code: 'damaged' });
    for (const [pragma, why] of [
      ['user_version = 3; CREATE TABLE x (y)', 'is not a log'],
      ['application_id = 0x544c4f47; PRAGMA user_version = 2', 'was written by a newer version of teleport'],
    ] as const) {
      rmSync(file);
      const other = new DatabaseSync(file);
      other.exec(`PRAGMA ${pragma}`);
      other.close();
      chmodSync(file, 0o600);
      await expect(openDirectoryDriver({ path })).rejects.toMatchObject({
        code: 'misconfigured',
        message: expect.stringContaining(why) as string,
      });
    }
  });

  it('can be done by several at the same moment', async () => {
    const drivers = await Promise.all(Array.from({ length: 6 }, () => opened()));
    const answers = await Promise.all(drivers.map((driver) => driver.commit('state', 1, Buffer.from('x'))));
    expect(answers.filter((one) => one === 'committed')).toHaveLength(1);
  });
});

describe('a directory store', () => {
  it('takes a batch at its limit, and not one a byte larger', async () => {
    const driver = await opened();
    const large = driver.commit('state', 1, Buffer.alloc(maxBatchBytes + 1));
    await expect(large).rejects.toMatchObject({ code: 'limit_exceeded' });
    expect(await driver.commit('state', 1, Buffer.alloc(maxBatchBytes))).toBe('committed');
  });

  it('pages through what is larger than a page', async () => {
    const driver = await opened();
    for (let slot = 1; slot <= 20; slot++) await driver.commit('state', slot, Buffer.alloc(50_000, slot));
    const all = await collect(driver.read('state', 3));
    expect(all.map(({ slot, batch }) => [slot, batch[0], batch.length])).toEqual(
      Array.from({ length: 18 }, (_, i) => [i + 3, i + 3, 50_000]),
    );
  });

  it('refuses to write when its file was removed or replaced beneath it', async () => {
    const driver = await opened();
    await driver.commit('state', 1, Buffer.from('x'));
    rmSync(join(path, 'log.db'));
    await expect(driver.commit('state', 2, Buffer.from('x'))).rejects.toMatchObject({ code: 'unavailable' });
    writeFileSync(join(path, 'log.db'), '', { mode: 0o600 });
    await expect(driver.vault.put('k', Buffer.from('x'))).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('leaves nothing of a deleted data key on the disk', async () => {
    const driver = await opened();
    const key = Buffer.from('a data key that must not be found again');
    await driver.vault.put('k', key);
    await driver.vault.delete('k');
    const { readFileSync } = await import('node:fs');
    for (const name of readdirSync(path))
      expect(readFileSync(join(path, name)).includes(key), name).toBe(false);
  });

  it('answers nothing after it was closed', async () => {
    const driver = await opened();
    await driver.close();
    await expect(slots(driver)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('opening for reading only', () => {
  it('sees a store in use, one that was left, and one that was closed, and changes nothing', async () => {
    const writer = await opened();
    for (const slot of [1, 2]) await writer.commit('state', slot, Buffer.from('x'));
    const look = async (where: string): Promise<void> => {
      const before = state(where);
      const reader = await openDirectoryReader({ path: where });
      expect(await slots(reader)).toEqual([1, 2]);
      await expect(reader.commit('state', 3, Buffer.from('x'))).rejects.toMatchObject({
        code: 'unavailable',
      });
      await reader.close();
      expect(state(where)).toEqual(before);
    };
    await look(path);
    // As a kill leaves it, and as a copy by hand without the index.
    const left = join(root, 'left');
    const copied = join(root, 'copied');
    for (const [where, names] of [
      [left, ['log.db', 'log.db-wal', 'log.db-shm']],
      [copied, ['log.db', 'log.db-wal']],
    ] as const) {
      mkdirSync(where);
      for (const name of names) copyFileSync(join(path, name), join(where, name));
      await look(where);
    }
    await writer.close();
    expect(readdirSync(path).sort()).toEqual(['hint', 'log.db']);
    await look(path);
  });

  it('sees what is committed meanwhile', async () => {
    const writer = await opened();
    await writer.commit('state', 1, Buffer.from('x'));
    const reader = await openDirectoryReader({ path });
    open.push(reader);
    expect(await slots(reader)).toEqual([1]);
    await writer.commit('state', 2, Buffer.from('x'));
    expect(await slots(reader)).toEqual([1, 2]);
  });

  it('says when there is no log', async () => {
    await expect(openDirectoryReader({ path })).rejects.toMatchObject({ code: 'not_found' });
    expect(readdirSync(root)).toEqual([]);
  });
});
