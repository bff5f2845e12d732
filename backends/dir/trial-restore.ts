import { chmodSync, copyFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { databaseName } from './connection.ts';

/** On a connection of its own, as another program would have it. */
export function onFile<T>(directory: string, act: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(join(directory, databaseName), { timeout: 10_000 });
  try {
    return act(db);
  } finally {
    db.close();
  }
}

/** A backup of everything that is stored now, as `sqlite3 log.db 'VACUUM INTO ...'` makes it. */
export function backUp(directory: string, copy: string): void {
  onFile(directory, (db) => {
    db.prepare('VACUUM INTO ?').run(copy);
  });
}

/**
 * Replaces the rows of the file by those of the backup, in one transaction, under every process that has it
 * open.
 */
export function putRowsBack(directory: string, copy: string): void {
  onFile(directory, (db) => {
    db.prepare('ATTACH ? AS kept').run(copy);
    const tables = db.prepare(`SELECT name FROM kept.sqlite_master WHERE type = 'table'`).all();
    db.exec('BEGIN IMMEDIATE');
    for (const { name } of tables as { name: string }[])
      db.exec(`DELETE FROM main.${name}; INSERT INTO main.${name} SELECT * FROM kept.${name}`);
    db.exec('COMMIT');
  });
}

/**
 * Replaces the log by another file, as an operator does who restores a backup and forgets to stop the daemon.
 */
export function putFileBack(directory: string, copy: string): void {
  const fresh = join(directory, 'restored.db');
  copyFileSync(copy, fresh);
  chmodSync(fresh, 0o600);
  renameSync(fresh, join(directory, databaseName));
  for (const suffix of ['-wal', '-shm']) rmSync(join(directory, databaseName + suffix), { force: true });
}
