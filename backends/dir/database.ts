import { closeSync, futimesSync, openSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { CodedError, messageOf } from '../../src/base/errors.ts';
import { type Partition, partitions } from '../../src/log/event.ts';
import type { StoredSlot } from '../../src/log/slot-driver.ts';
import { refuseOnFullDisk } from './file-system.ts';
import type { BlobTable } from './protocol.ts';

export const databaseName = 'log.db';
export const hintName = 'hint';

/** Largest batch. More than the log makes of itself; one large append may go alone. */
export const maxBatchBytes = 1024 * 1024;

const schemaVersion = 1;
/** `TLOG`: tells the file from other databases. */
const applicationId = 0x544c4f47;
/** How long to wait for another process's transaction. */
const busyMs = 10_000;
/**
 * SQLite looks again ever more rarely, up to every 100 ms, and may also give up at once. A process that writes without pause
 * leaves shorter gaps, so the waiting begins anew after this time.
 */
const patienceMs = 8;
const pagesGivenBack = 4096;

const schema = `
  ${partitions.map((name) => `CREATE TABLE IF NOT EXISTS ${name}_slots (slot INTEGER PRIMARY KEY, batch BLOB NOT NULL);`).join('\n')}
  CREATE TABLE IF NOT EXISTS vault (key TEXT PRIMARY KEY, value BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS snapshots (key TEXT PRIMARY KEY, value BLOB NOT NULL);
  PRAGMA application_id = ${applicationId};
  PRAGMA user_version = ${schemaVersion};
`;

/** The file `log.db`, spoken to synchronously: lives in a worker thread, where waiting for the disk stops nobody. */
export class Database {
  readonly #directory: string;
  readonly #path: string;
  readonly #inode: number;
  readonly #db: DatabaseSync;
  readonly #hint: number | undefined;
  readonly #statements = new Map<string, StatementSync>();

  /** `location` is the path, or for reading a `file:` URL with parameters. */
  constructor(directory: string, location: string | URL, mode: 'write' | 'read') {
    this.#directory = directory;
    this.#path = join(directory, databaseName);
    this.#inode = statSync(this.#path).ino;
    this.#db = guarded(
      'unavailable',
      () => new DatabaseSync(location, { readOnly: mode === 'read', timeout: patienceMs }),
    );
    try {
      guarded('unavailable', () => {
        if (mode === 'write') this.#prepareToWrite();
        this.#checkVersion();
      });
      this.#hint = mode === 'write' ? openSync(join(directory, hintName), 'a', 0o600) : undefined;
    } catch (e) {
      this.#db.close();
      throw e;
    }
  }

  commit(partition: Partition, slot: number, batch: Uint8Array): 'committed' | 'taken' {
    if (batch.length > maxBatchBytes)
      throw new CodedError('limit_exceeded', `a batch of ${batch.length} bytes is above ${maxBatchBytes}`);
    this.#checkWritable(partition, batch.length);
    const insert = this.#prepare(
      `INSERT INTO ${partition}_slots (slot, batch) VALUES (?, ?) ON CONFLICT DO NOTHING`,
    );
    // A failed write to the log file may yet be found there when the database is opened again.
    const { changes } = guarded('ambiguous', () => insert.run(slot, batch));
    if (changes === 0) return 'taken';
    if (this.#hint !== undefined) futimesSync(this.#hint, new Date(), new Date());
    return 'committed';
  }

  /** In one transaction: what costs is the waiting for the disk. */
  load(partition: Partition, slots: readonly StoredSlot[]): void {
    this.#checkWritable(
      partition,
      slots.reduce((sum, { batch }) => sum + batch.length, 0),
    );
    const insert = this.#prepare(
      `INSERT INTO ${partition}_slots (slot, batch) VALUES (?, ?) ON CONFLICT DO NOTHING`,
    );
    guarded('ambiguous', () => {
      this.#db.exec('BEGIN IMMEDIATE');
      try {
        for (const { slot, batch } of slots) insert.run(slot, batch);
        this.#db.exec('COMMIT');
      } catch (e) {
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
        throw e;
      }
    });
    if (this.#hint !== undefined) futimesSync(this.#hint, new Date(), new Date());
  }

  page(partition: Partition, from: number, maxBytes: number): StoredSlot[] {
    const select = this.#prepare(`SELECT slot, batch FROM ${partition}_slots WHERE slot >= ? ORDER BY slot`);
    return guarded('unavailable', () => {
      const slots: StoredSlot[] = [];
      let bytes = 0;
      for (const row of select.iterate(from)) {
        const { slot, batch } = row as unknown as StoredSlot;
        slots.push({ slot, batch });
        bytes += batch.length;
        if (bytes >= maxBytes) break;
      }
      return slots;
    });
  }

  trim(partition: Partition, before: number): void {
    this.#refuseReadOnly();
    guarded('unavailable', () => {
      this.#prepare(`DELETE FROM ${partition}_slots WHERE slot < ?`).run(before);
      this.#db.exec(`PRAGMA incremental_vacuum(${pagesGivenBack})`);
    });
  }

  put(table: BlobTable, key: string, value: Uint8Array): void {
    this.#checkWritable(table, value.length);
    const upsert = this.#prepare(
      `INSERT INTO ${table} (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    );
    guarded('unavailable', () => upsert.run(key, value));
  }

  get(table: BlobTable, key: string): Uint8Array | undefined {
    const row = guarded('unavailable', () =>
      this.#prepare(`SELECT value FROM ${table} WHERE key = ?`).get(key),
    );
    return row?.['value'] as Uint8Array | undefined;
  }

  delete(table: BlobTable, key: string): void {
    this.#refuseReadOnly();
    guarded('unavailable', () => {
      this.#prepare(`DELETE FROM ${table} WHERE key = ?`).run(key);
      // Deleted data keys must be gone from the write-ahead file as well. A reader may hold it up; the next one tries again.
      // That it could not wait for them long enough is no error, so it has to wait in one piece.
      if (table === 'vault')
        this.#db.exec(
          `PRAGMA busy_timeout = ${busyMs}; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = ${patienceMs}`,
        );
    });
  }

  list(table: BlobTable, prefix: string): string[] {
    const select = this.#prepare(`SELECT key FROM ${table} WHERE substr(key, 1, ?) = ? ORDER BY key`);
    return guarded('unavailable', () => select.all(prefix.length, prefix).map((row) => row['key'] as string));
  }

  close(): void {
    this.#db.close();
    if (this.#hint !== undefined) closeSync(this.#hint);
  }

  #prepareToWrite(): void {
    // Only a new file takes this setting; then pages freed by a trim can be given back to the disk.
    this.#db.exec('PRAGMA auto_vacuum = INCREMENTAL');
    this.#db.exec('PRAGMA journal_mode = WAL');
    this.#db.exec(
      `PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA journal_size_limit = ${64 * 1024 * 1024}`,
    );
    if (this.#pragma('user_version') !== 0) return;
    this.#db.exec(`BEGIN IMMEDIATE; ${schema} COMMIT`);
  }

  #checkVersion(): void {
    const version = this.#pragma('user_version');
    if (this.#pragma('application_id') !== applicationId)
      throw new CodedError('misconfigured', `${this.#path} is not a log`);
    if (version > schemaVersion)
      throw new CodedError(
        'misconfigured',
        `${this.#path} was written by a newer version of teleport (format ${version}, this one knows ${schemaVersion}): upgrade`,
      );
    if (version !== schemaVersion) throw new CodedError('misconfigured', `${this.#path} is not a whole log`);
  }

  /** An append to a file that was removed or replaced would be acknowledged and lost. */
  #checkWritable(what: Partition | BlobTable, bytes: number): void {
    if (statSync(this.#path, { throwIfNoEntry: false })?.ino !== this.#inode)
      throw new CodedError(
        'unavailable',
        `${this.#path} was removed or replaced while in use: restart the process`,
      );
    this.#refuseReadOnly();
    refuseOnFullDisk(this.#directory, what, bytes);
  }

  /** A disk with errors becomes read-only under us. Told before anything is begun, so it is known that nothing was written. */
  #refuseReadOnly(): void {
    try {
      utimesSync(this.#path, new Date(), new Date());
    } catch (e) {
      // Whatever else is wrong, the write itself tells better.
      if ((e as NodeJS.ErrnoException).code !== 'EROFS') return;
      throw new CodedError(
        'unavailable',
        `the file system of ${this.#directory} is read-only now: what is there is served, nothing is written; see to the disk, then restart`,
        { cause: e },
      );
    }
  }

  #pragma(name: string): number {
    return Number(this.#db.prepare(`PRAGMA ${name}`).get()?.[name]);
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known) return known;
    const made = guarded('unavailable', () => this.#db.prepare(sql));
    this.#statements.set(sql, made);
    return made;
  }
}

/** Primary result codes. Source: sqlite.org/rescode.html. */
const codes: ReadonlyMap<number, 'no_space' | 'damaged' | 'unavailable' | 'limit_exceeded'> = new Map([
  [5, 'unavailable'],
  [6, 'unavailable'],
  [7, 'unavailable'],
  [8, 'unavailable'],
  [11, 'damaged'],
  [13, 'no_space'],
  [14, 'unavailable'],
  [18, 'limit_exceeded'],
  [23, 'unavailable'],
  [26, 'damaged'],
]);

/** `onInputOutputError`: what a failed read or write of the file means here. */
function guarded<T>(onInputOutputError: 'ambiguous' | 'unavailable', act: () => T): T {
  try {
    return untilFree(act);
  } catch (e) {
    const primary = primaryCode(e);
    if (primary === undefined) throw e;
    const code = primary === 10 ? onInputOutputError : codes.get(primary);
    if (code === undefined) throw e;
    throw new CodedError(code, `the local log database: ${messageOf(e)}`, { cause: e });
  }
}

function primaryCode(e: unknown): number | undefined {
  const code = e instanceof Error && 'errcode' in e ? e.errcode : undefined;
  return typeof code === 'number' ? code & 0xff : undefined;
}

/** Does it again while another process is writing: what was refused for that changed nothing. */
function untilFree<T>(act: () => T): T {
  const end = performance.now() + busyMs;
  for (;;) {
    try {
      return act();
    } catch (e) {
      if (primaryCode(e) !== 5 || performance.now() > end) throw e;
      // Changing the journal mode does not wait by itself.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}
