import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Connection, databaseName } from './connection.ts';

let directory: string;
let path: string;
const open: Connection[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'dir-connection-'));
  path = join(directory, databaseName);
});
afterEach(() => {
  for (const one of open.splice(0)) one.close();
  rmSync(directory, { recursive: true, force: true });
});

function connect(mode: 'write' | 'read'): Connection {
  // As who opens the store does first, with the mode that SQLite gives its other files as well.
  if (mode === 'write') closeSync(openSync(path, 'a', 0o600));
  const made = new Connection(directory, path, mode);
  open.push(made);
  return made;
}
function made(...pragmas: readonly string[]): void {
  const other = new DatabaseSync(path);
  for (const pragma of pragmas) other.exec(pragma);
  other.close();
  chmodSync(path, 0o600);
}
const tablesIn = (connection: Connection): readonly unknown[] =>
  connection.prepare(`SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name`).all();

describe('a connection to log.db', () => {
  it('makes a new file a log, which a reader then sees as one', () => {
    const writer = connect('write');
    expect(writer.has('attempts_slots')).toBe(true);
    const reader = connect('read');
    expect(reader.snapshot(() => tablesIn(reader))).toEqual(tablesIn(writer));
    expect(writer.trouble).toBeUndefined();
  });

  it('makes one that was only begun a log, as a reader sees none', () => {
    made('PRAGMA journal_mode = WAL');
    expect(() => connect('read')).toThrow(
      expect.objectContaining({
        code: 'not_found',
        message: expect.stringContaining('was created') as string,
      }),
    );
    expect(tablesIn(connect('write')).length).toBeGreaterThan(3);
  });

  it.each([
    ['with a table of its own', 'CREATE TABLE x (y)'],
    ['of another program', 'PRAGMA application_id = 7'],
    ['with another version', 'PRAGMA user_version = 3'],
  ])('leaves a database %s as it is, whoever opens it', (_, pragma) => {
    made(pragma);
    const { size, mtimeMs } = statSync(path);
    for (const mode of ['write', 'read'] as const)
      expect(() => connect(mode)).toThrow(
        expect.objectContaining({ code: 'misconfigured', message: `${path} is not a log` }),
      );
    expect(statSync(path)).toMatchObject({ size, mtimeMs });
  });

  it('refuses what a newer release wrote', () => {
    connect('write').close();
    open.length = 0;
    made('PRAGMA user_version = 99');
    expect(() => connect('write')).toThrow('was written by a newer version of teleport (format 99');
  });

  it('undoes all of a transaction that fails, and goes on', () => {
    const writer = connect('write');
    const put = (key: string): void => {
      writer.prepare('INSERT INTO meta VALUES (?, ?)').run(key, Buffer.from('x'));
    };
    expect(() =>
      writer.transact(() => {
        put('one');
        throw new Error('half way');
      }),
    ).toThrow('half way');
    writer.transact(() => {
      put('two');
    });
    expect(writer.snapshot(() => writer.prepare('SELECT key FROM meta').all())).toEqual([{ key: 'two' }]);
    writer.tellOthers();
    writer.emptyWriteAheadFile();
    writer.giveRoomBack(1);
    expect(writer.trouble).toBeUndefined();
  });
});
