import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CodedError } from '../../src/base/errors.ts';
import { noHash, ownHash } from '../../src/log/own-hash.ts';
import type { Appended, SlotDriver } from '../../src/log/slot-driver.ts';
import { collect } from '../../src/log/testing.ts';
import { refuseNetworkFileSystem } from './file-system.ts';
import { namingFullDisk, openDirectoryDriver, openDirectoryReader } from './open.ts';
import { maxBatchBytes } from './slot-tables.ts';
import { onFile, putFileBack } from './trial-restore.ts';

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

const x = Buffer.alloc(40, 'x');

/** Appends after a slot whose batch is `previous`. */
const appendAt = (
  driver: SlotDriver,
  slot: number,
  batch: Uint8Array = x,
  previous: Uint8Array = x,
): Promise<Appended> =>
  driver.append('state', { slot: slot - 1, hash: slot === 1 ? noHash : ownHash(previous) }, batch);

const slots = async (driver: SlotDriver): Promise<number[]> =>
  (await collect(driver.read('state', 1))).map(({ slot }) => slot);

describe('opening a directory store', () => {
  it('makes a private directory with private files', async () => {
    const driver = await opened();
    await appendAt(driver, 1);
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
      for (const open of [openDirectoryDriver, openDirectoryReader])
        await expect(open({ path })).rejects.toMatchObject({
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
      ['user_version = 0; CREATE TABLE x (y)', 'is not a log'],
      ['application_id = 7', 'is not a log'],
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
      const unchanged = new DatabaseSync(file);
      expect(unchanged.prepare("SELECT 1 FROM sqlite_master WHERE name = 'vault'").get()).toBeUndefined();
      unchanged.close();
    }
  });

  it.each([
    ['it wrote anything', []],
    ['it made it a log', ['journal_mode = WAL']],
  ])('goes on after a process that was killed before %s, where readers see no log', async (_, pragmas) => {
    mkdirSync(path, { mode: 0o700 });
    const begun = new DatabaseSync(join(path, 'log.db'));
    for (const pragma of pragmas) begun.exec(`PRAGMA ${pragma}`);
    begun.close();
    chmodSync(join(path, 'log.db'), 0o600);
    await expect(openDirectoryReader({ path })).rejects.toMatchObject({ code: 'not_found' });
    expect(await appendAt(await opened(), 1)).toEqual({ status: 'committed' });
  });

  it('can be done by several at the same moment', async () => {
    const drivers = await Promise.all(Array.from({ length: 6 }, () => opened()));
    const answers = await Promise.all(drivers.map((driver) => appendAt(driver, 1)));
    expect(answers.filter(({ status }) => status === 'committed')).toHaveLength(1);
  });
});

describe('a directory store', () => {
  it('takes a batch at its limit, and not one a byte larger', async () => {
    const driver = await opened();
    const large = appendAt(driver, 1, Buffer.alloc(maxBatchBytes + 1));
    await expect(large).rejects.toMatchObject({ code: 'too_large' });
    expect(await appendAt(driver, 1, Buffer.alloc(maxBatchBytes))).toEqual({ status: 'committed' });
  });

  it('pages through what is larger than a page', async () => {
    const driver = await opened();
    for (let slot = 1; slot <= 20; slot++)
      await appendAt(driver, slot, Buffer.alloc(50_000, slot), Buffer.alloc(50_000, slot - 1));
    const all = await collect(driver.read('state', 3));
    expect(all.map(({ slot, batch }) => [slot, batch[0], batch.length])).toEqual(
      Array.from({ length: 18 }, (_, i) => [i + 3, i + 3, 50_000]),
    );
  });

  it('refuses to write when its file was removed or replaced beneath it', async () => {
    const driver = await opened();
    await appendAt(driver, 1);
    rmSync(join(path, 'log.db'));
    await expect(appendAt(driver, 2)).rejects.toMatchObject({ code: 'unavailable' });
    writeFileSync(join(path, 'log.db'), '', { mode: 0o600 });
    await expect(driver.vault.create('k', x)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('leaves nothing of a deleted data key on the disk', async () => {
    const driver = await opened();
    const key = Buffer.from('a data key that must not be found again');
    for (const [store, forget] of [
      ['vault', 'destroy'],
      ['vault', 'remove'],
      ['meta', 'remove'],
    ] as const) {
      await driver[store].create(forget, key);
      await driver[store][forget](forget);
    }
    for (const name of readdirSync(path))
      expect(readFileSync(join(path, name)).includes(key), name).toBe(false);
  });

  it('has committed what it committed, when others cannot be told', async () => {
    mkdirSync(join(path, 'hint'), { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
    const driver = await opened();
    const hints = driver.hints('state').subscribe();
    expect(await appendAt(driver, 1)).toEqual({ status: 'committed' });
    expect(driver.report().trouble).toContain(`${path}/hint cannot be touched`);
    hints.unsubscribe();
    rmSync(join(path, 'hint'), { recursive: true });
    expect(await appendAt(driver, 2)).toEqual({ status: 'committed' });
    expect(driver.report().trouble).toBeUndefined();
  });

  it('neither reads nor writes on when its file was put back by another', async () => {
    const driver = await opened();
    await appendAt(driver, 1);
    const reader = await openDirectoryReader({ path });
    open.push(reader);
    expect(await slots(reader)).toEqual([1]);
    const backup = join(root, 'backup.db');
    onFile(path, (db) => db.prepare('VACUUM INTO ?').run(backup));
    await appendAt(driver, 2);
    expect(await slots(reader)).toEqual([1, 2]);
    await driver.vault.create('k', x);
    putFileBack(path, backup);
    const refused = {
      code: 'unavailable',
      message: expect.stringContaining('was removed or replaced') as string,
    };
    await expect(appendAt(driver, 3)).rejects.toMatchObject(refused);
    await expect(slots(driver)).rejects.toMatchObject(refused);
    await expect(driver.bounds('state')).rejects.toMatchObject(refused);
    await expect(driver.vault.get('k')).rejects.toMatchObject(refused);
    await expect(driver.vault.destroy('k')).rejects.toMatchObject(refused);
    // Whoever only looks looks at what is there now, and notices what is not.
    await expect(collect(reader.read('state', 3, ownHash(x)))).rejects.toMatchObject({
      code: 'unavailable',
      slot: 2,
    });
    expect(await slots(reader)).toEqual([1]);
    const next = await opened();
    expect(await next.bounds('state')).toEqual({ floor: 1, head: 1 });
    expect(await appendAt(next, 3)).toEqual({ status: 'predecessor changed' });
  });

  it('tells a slot that is passed over from one that was given up between two pages', async () => {
    const driver = await opened();
    const batch = Buffer.alloc(50_000);
    await driver.load(
      'state',
      Array.from({ length: 9 }, (_, i) => ({ slot: i + 1, batch })),
    );
    const seen: number[] = [];
    const reading = async (): Promise<void> => {
      for await (const { slot } of driver.read('state', 1)) {
        seen.push(slot);
        if (slot === 2) await driver.trim('state', 8);
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: 'unavailable' });
    expect(seen).toEqual([1, 2]);
    expect(await slots(driver)).toEqual([8, 9]);
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
    for (const slot of [1, 2]) await appendAt(writer, slot);
    const look = async (where: string): Promise<void> => {
      const before = state(where);
      const reader = await openDirectoryReader({ path: where });
      expect(await slots(reader)).toEqual([1, 2]);
      await expect(appendAt(reader, 3)).rejects.toMatchObject({
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
    await appendAt(writer, 1);
    const reader = await openDirectoryReader({ path });
    open.push(reader);
    expect(await slots(reader)).toEqual([1]);
    await appendAt(writer, 2);
    expect(await slots(reader)).toEqual([1, 2]);
  });

  it('says when there is no log', async () => {
    await expect(openDirectoryReader({ path })).rejects.toMatchObject({ code: 'not_found' });
    expect(readdirSync(root)).toEqual([]);
  });

  it('names the disk that has no room for its files', () => {
    const e = new CodedError('unavailable', 'the local log database: disk I/O error');
    expect(namingFullDisk(e, path, undefined)).toBe(e);
    expect(namingFullDisk(e, path, 'the disk of /x is nearly full')).toMatchObject({
      code: 'unavailable',
      message: 'the local log database: disk I/O error; the disk of /x is nearly full: free space there',
    });
    const bug = new TypeError('x');
    expect(namingFullDisk(bug, path, 'the disk of /x is nearly full')).toBe(bug);
  });
});
