import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ownHash } from '../../src/log/own-hash.ts';
import { collect } from '../../src/log/testing.ts';
import { openDirectoryDriver, openDirectoryReader } from './open.ts';
import { onFile } from './trial-restore.ts';

let path: string;
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'log-earlier-'));
});
afterEach(() => {
  rmSync(path, { recursive: true, force: true });
});

const batch = (slot: number): Buffer => Buffer.alloc(100, slot);

/** As the release without floors, tombstones and meta made it, and trimmed it to slot 5. */
function fileOfEarlierRelease(): void {
  onFile(path, (db) => {
    db.exec('PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL');
    for (const name of ['state', 'presence', 'audit'])
      db.exec(`CREATE TABLE ${name}_slots (slot INTEGER PRIMARY KEY, batch BLOB NOT NULL)`);
    for (const name of ['vault', 'snapshots'])
      db.exec(`CREATE TABLE ${name} (key TEXT PRIMARY KEY, value BLOB NOT NULL)`);
    db.exec('PRAGMA application_id = 0x544c4f47; PRAGMA user_version = 1');
    for (let slot = 5; slot <= 8; slot++)
      db.prepare('INSERT INTO state_slots VALUES (?, ?)').run(slot, batch(slot));
    db.prepare('INSERT INTO vault VALUES (?, ?)').run('old', Buffer.from('a key'));
  });
  chmodSync(join(path, 'log.db'), 0o600);
}

describe('a directory of the release before', () => {
  it('is looked at as it is, its floor where its slots begin', async () => {
    fileOfEarlierRelease();
    const before = readFileSync(join(path, 'log.db'));
    const reader = await openDirectoryReader({ path });
    expect(await reader.bounds('state')).toEqual({ floor: 5, head: 8 });
    expect(await reader.bounds('audit')).toEqual({ floor: 1, head: 0 });
    expect((await collect(reader.read('state', 1))).map(({ slot }) => slot)).toEqual([5, 6, 7, 8]);
    expect(await reader.vault.list('')).toEqual(['old']);
    expect(await reader.vault.get('old')).toHaveLength(5);
    expect(await reader.meta.list('')).toEqual([]);
    expect(await reader.meta.get('old')).toBeUndefined();
    await reader.close();
    expect(readFileSync(join(path, 'log.db')).equals(before)).toBe(true);
    expect(readdirSync(path)).toEqual(['log.db']);
  });

  it('goes on, and that release beside it', async () => {
    fileOfEarlierRelease();
    const driver = await openDirectoryDriver({ path });
    expect(await driver.bounds('state')).toEqual({ floor: 5, head: 8 });
    onFile(path, (db) => {
      expect(db.prepare('SELECT floor FROM floors WHERE partition = ?').get('state')).toEqual({ floor: 5 });
      expect(db.prepare('PRAGMA user_version').get()).toEqual({ user_version: 1 });
    });
    // By "if absent" alone; and a key that was destroyed put back blindly.
    await driver.vault.destroy('old');
    onFile(path, (db) => {
      db.prepare('INSERT INTO state_slots (slot, batch) VALUES (9, ?) ON CONFLICT DO NOTHING').run(batch(9));
      db.prepare('INSERT INTO vault VALUES (?, ?)').run('old', Buffer.from('a key'));
    });
    const append = (slot: number): Promise<unknown> =>
      driver.append('state', { slot: slot - 1, hash: ownHash(batch(slot - 1)) }, batch(slot));
    expect(await append(9)).toEqual({ status: 'taken', head: 9 });
    expect(await append(10)).toEqual({ status: 'committed' });
    expect(await driver.vault.get('old')).toBeUndefined();
    expect(await driver.vault.list('')).toEqual([]);
    expect(await driver.vault.replace('old', Buffer.from('a key'), Buffer.from('another'))).toBe('changed');
    await driver.close();
  });
});
