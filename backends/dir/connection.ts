import { closeSync, futimesSync, openSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { CodedError, messageOf } from '../../src/base/errors.ts';
import type { Partition } from '../../src/log/event.ts';
import { refuseOnFullDisk } from './file-system.ts';
import { busyMs, patienceMs, reading, writing } from './outcomes.ts';
import type { BlobTable } from './protocol.ts';
import { applicationId, laterSchema, laterTables, schema, schemaVersion } from './schema.ts';

export const databaseName = 'log.db';
export const hintName = 'hint';

/** Failures besides the writes, which succeeded: reported to operators until they are over. */
type Beside = 'hint' | 'vacuum';

/** One connection to `log.db`, and the checks around each write. */
export class Connection {
  readonly #directory: string;
  readonly #path: string;
  readonly #inode: bigint;
  readonly #db: DatabaseSync;
  #hint: number | undefined;
  readonly #mode: 'write' | 'read';
  readonly #statements = new Map<string, StatementSync>();
  readonly #beside = new Map<Beside, string>();
  /** Those that were seen: none is ever removed. */
  readonly #tables = new Set<string>();

  /** `location` is the path, or for reading a `file:` URL with parameters. */
  constructor(directory: string, location: string | URL, mode: 'write' | 'read') {
    this.#directory = directory;
    this.#path = join(directory, databaseName);
    this.#inode = inodeOf(this.#path) ?? -1n;
    this.#mode = mode;
    this.#db = reading(() => new DatabaseSync(location, { readOnly: mode === 'read', timeout: patienceMs }));
    try {
      reading(() => {
        if (mode === 'write') this.#prepareToWrite();
        this.#checkVersion();
        if (mode === 'write') this.#addLaterTables();
      });
    } catch (e) {
      this.#db.close();
      throw e;
    }
  }

  /** Why hints or freeing space fail; writes are not affected. */
  get trouble(): string | undefined {
    return [...this.#beside.values()].at(0);
  }

  /** False for some tables in a file of an earlier release that has not been opened for writing since. */
  has(table: string): boolean {
    if (this.#tables.has(table)) return true;
    const found = reading(() =>
      this.prepare('SELECT count(*) AS count FROM sqlite_master WHERE name = ?').get(table),
    );
    if (found?.['count'] !== 1) return false;
    this.#tables.add(table);
    return true;
  }

  prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known) return known;
    const made = reading(() => this.#db.prepare(sql));
    this.#statements.set(sql, made);
    return made;
  }

  /** Reads of one moment, from the file that is in its place. */
  snapshot<T>(act: () => T): T {
    this.#checkFile();
    return reading(() => this.#transaction('BEGIN', act));
  }

  /** All or nothing. May be repeated until no other process holds the lock. */
  transact<T>(act: () => T): T {
    return this.write(() => this.#transaction('BEGIN IMMEDIATE', act));
  }

  /**
   * Durable when it returns.
   * @throws CodedError `ambiguous`, also when the file was removed or replaced in the meantime; others as
   *   `writing`
   */
  write<T>(act: () => T): T {
    const answer = writing(act);
    if (this.#seenReplaced())
      throw new CodedError('ambiguous', `${this.#path} was removed or replaced while it was written to`);
    return answer;
  }

  /**
   * An append to a file that was removed or replaced would be acknowledged and lost.
   * @throws CodedError `unavailable`, `no_space`: nothing was begun
   */
  checkWritable(what: Partition | BlobTable, bytes: number): void {
    this.checkFileWritable();
    besideTheDatabase(() => {
      refuseOnFullDisk(this.#directory, what, bytes);
    });
  }

  /** For writes that free space. @throws CodedError `unavailable` */
  checkFileWritable(): void {
    this.#checkFile();
    this.#refuseReadOnly();
  }

  /** Tells all processes that something was committed. The commit stands even if the hint fails. */
  tellOthers(): void {
    this.#aside('hint', () => {
      this.#hint ??= openSync(join(this.#directory, hintName), 'a', 0o600);
      const now = Date.now() / 1000;
      futimesSync(this.#hint, now, now);
    });
  }

  /**
   * Returns space to the disk after a trim, which stands whether that succeeds or not: the next trim returns
   * more.
   */
  giveRoomBack(pages: number): void {
    this.#aside('vacuum', () => {
      writing(() => {
        this.#db.exec(`PRAGMA incremental_vacuum(${pages})`);
      });
    });
  }

  /**
   * Deleted data keys must be gone from the write-ahead file as well. A reader may delay it; the next
   * deletion tries again. SQLite reports no error when it could not wait for readers long enough, so it has
   * to wait in one piece.
   * @throws CodedError `ambiguous`: what was deleted is deleted, but may still lie in that file
   */
  emptyWriteAheadFile(): void {
    try {
      reading(() => {
        this.#db.exec(
          `PRAGMA busy_timeout = ${busyMs}; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = ${patienceMs}`,
        );
      });
    } catch (e) {
      throw new CodedError('ambiguous', messageOf(e), { cause: e });
    }
  }

  close(): void {
    this.#db.close();
    if (this.#hint !== undefined) closeSync(this.#hint);
  }

  #transaction<T>(begin: string, act: () => T): T {
    // A transaction that could not be rolled back, if that ever happens, would swallow all later ones.
    if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
    this.prepare(begin).run();
    try {
      const answer = act();
      this.prepare('COMMIT').run();
      return answer;
    } catch (e) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw e;
    }
  }

  #prepareToWrite(): void {
    this.#refuseForeign();
    // Only a new file takes this setting; then pages freed by a trim can be returned to the disk.
    this.#db.exec('PRAGMA auto_vacuum = INCREMENTAL');
    this.#db.exec('PRAGMA journal_mode = WAL');
    this.#db.exec(
      `PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA journal_size_limit = ${64 * 1024 * 1024}`,
    );
    if (this.#pragma('user_version') === 0) this.#inOneGo(schema);
  }

  #addLaterTables(): void {
    if (!laterTables.every((table) => this.has(table))) this.#inOneGo(laterSchema);
  }

  #inOneGo(sql: string): void {
    this.#transaction('BEGIN IMMEDIATE', () => {
      this.#db.exec(sql);
    });
  }

  /** Nothing is added to the database of another program, whose version is 0 as well when it sets none. */
  #refuseForeign(): void {
    if (this.#state() === 'foreign') throw this.#notALog();
  }

  #notALog(): CodedError {
    return new CodedError('misconfigured', `${this.#path} is not a log`);
  }

  /** Seen in one piece, as another process may be making it a log. */
  #state(): 'empty' | 'log' | 'foreign' {
    return this.#transaction('BEGIN', () => {
      const id = this.#pragma('application_id');
      if (id === applicationId) return 'log';
      const { count } = this.#db.prepare('SELECT count(*) AS count FROM sqlite_master').get() ?? {};
      return id === 0 && this.#pragma('user_version') === 0 && count === 0 ? 'empty' : 'foreign';
    });
  }

  #checkVersion(): void {
    const state = this.#state();
    if (state === 'empty')
      throw new CodedError(
        'not_found',
        `there is no log in ${this.#directory}: ${databaseName} was created, and nothing was written to it`,
      );
    if (state === 'foreign') throw this.#notALog();
    const version = this.#pragma('user_version');
    if (version > schemaVersion)
      throw new CodedError(
        'misconfigured',
        `${this.#path} was written by a newer version of teleport (format ${version}, this one knows ${schemaVersion}): upgrade`,
      );
    if (version !== schemaVersion) throw new CodedError('misconfigured', `${this.#path} is not a whole log`);
  }

  /**
   * The content of a file that is no longer the log must not be used. A reader follows the file by itself.
   */
  #checkFile(): void {
    if (this.#mode === 'write' && inodeOf(this.#path) !== this.#inode)
      throw new CodedError(
        'unavailable',
        `${this.#path} was removed or replaced while in use: restart the process`,
      );
  }

  /** Called after a commit, which stands unless the file turns out to be another. */
  #seenReplaced(): boolean {
    try {
      return inodeOf(this.#path) !== this.#inode;
    } catch {
      return false;
    }
  }

  /**
   * A disk with errors becomes read-only under us. Reported before anything is begun, so it is known that
   * nothing was written.
   */
  #refuseReadOnly(): void {
    try {
      // Asking for write permission is not enough: after an error the kernel refuses the write itself.
      const now = Date.now() / 1000;
      utimesSync(this.#path, now, now);
    } catch (e) {
      // The write itself reports any other error better.
      if ((e as NodeJS.ErrnoException).code !== 'EROFS') return;
      throw new CodedError(
        'unavailable',
        `the file system of ${this.#directory} is read-only now: what is there is served, nothing is written; see to the disk, then restart`,
        { cause: e },
      );
    }
  }

  #aside(what: Beside, act: () => void): void {
    try {
      act();
      this.#beside.delete(what);
    } catch (e) {
      const consequence =
        what === 'hint'
          ? `${join(this.#directory, hintName)} cannot be touched, so others see what is written later`
          : `${this.#path} does not become smaller`;
      this.#beside.set(what, `${consequence}: ${messageOf(e)}`);
    }
  }

  #pragma(name: string): number {
    return Number(this.#db.prepare(`PRAGMA ${name}`).get()?.[name]);
  }
}

const inodeOf = (path: string): bigint | undefined =>
  besideTheDatabase(() => statSync(path, { throwIfNoEntry: false, bigint: true })?.ino);

/** The file system may refuse to report it, too. */
function besideTheDatabase<T>(look: () => T): T {
  try {
    return look();
  } catch (e) {
    if (e instanceof CodedError) throw e;
    throw new CodedError('unavailable', `the local log database: ${messageOf(e)}`, { cause: e });
  }
}
