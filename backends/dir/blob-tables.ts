import { refuseLargeReplacement } from '../../src/log/slot-driver.ts';
import type { Connection } from './connection.ts';
import type { BlobTable } from './protocol.ts';

/** Those that contain keys, of which nothing may stay on the disk. */
const secret: ReadonlySet<BlobTable> = new Set(['vault', 'meta']);

export function create(
  connection: Connection,
  table: BlobTable,
  key: string,
  value: Uint8Array,
): 'created' | 'exists' | 'destroyed' {
  connection.checkWritable(table, value.length);
  const insert = connection.prepare(`INSERT INTO ${table} (key, value) VALUES (?, ?)`);
  return connection.transact(() => {
    if (isDestroyed(connection, table, key)) return 'destroyed';
    const stored = valueAt(connection, table, key);
    if (stored !== undefined) return equal(stored, value) ? 'created' : 'exists';
    insert.run(key, value);
    return 'created';
  });
}

export function replace(
  connection: Connection,
  table: BlobTable,
  key: string,
  { from, to }: { readonly from: Uint8Array; readonly to: Uint8Array },
): 'replaced' | 'changed' {
  refuseLargeReplacement(from, to);
  connection.checkWritable(table, to.length);
  const update = connection.prepare(`UPDATE ${table} SET value = ? WHERE key = ?`);
  return connection.transact(() => {
    const stored = isDestroyed(connection, table, key) ? undefined : valueAt(connection, table, key);
    if (stored === undefined) return 'changed';
    if (equal(stored, to)) return 'replaced';
    if (!equal(stored, from)) return 'changed';
    update.run(to, key);
    return 'replaced';
  });
}

export const get = (connection: Connection, table: BlobTable, key: string): Uint8Array | undefined =>
  connection.snapshot(() =>
    isDestroyed(connection, table, key) ? undefined : valueAt(connection, table, key),
  );

export function destroy(connection: Connection, table: BlobTable, key: string): void {
  connection.checkFileWritable();
  const bury = connection.prepare('INSERT INTO tombstones (store, key) VALUES (?, ?) ON CONFLICT DO NOTHING');
  const forget = connection.prepare(`DELETE FROM ${table} WHERE key = ?`);
  connection.transact(() => {
    bury.run(table, key);
    forget.run(key);
  });
  if (secret.has(table)) connection.emptyWriteAheadFile();
}

export function remove(connection: Connection, table: BlobTable, key: string): void {
  connection.checkFileWritable();
  const forget = connection.prepare(`DELETE FROM ${table} WHERE key = ?`);
  connection.transact(() => forget.run(key));
  if (secret.has(table)) connection.emptyWriteAheadFile();
}

export function list(connection: Connection, table: BlobTable, prefix: string): string[] {
  if (!connection.has(table)) return [];
  const alive = connection.has('tombstones')
    ? `AND NOT EXISTS (SELECT 1 FROM tombstones WHERE store = '${table}' AND tombstones.key = ${table}.key)`
    : '';
  const select = connection.prepare(
    `SELECT key FROM ${table} WHERE substr(key, 1, ?) = ? ${alive} ORDER BY key`,
  );
  return connection.snapshot(() => select.all(prefix.length, prefix).map((row) => row['key'] as string));
}

/** Also true when a process of an earlier release, which has no tombstones, has put the key back. */
const isDestroyed = (connection: Connection, table: BlobTable, key: string): boolean =>
  connection.has('tombstones') &&
  connection.prepare('SELECT 1 FROM tombstones WHERE store = ? AND key = ?').get(table, key) !== undefined;

function valueAt(connection: Connection, table: BlobTable, key: string): Uint8Array | undefined {
  if (!connection.has(table)) return undefined;
  return connection.prepare(`SELECT value FROM ${table} WHERE key = ?`).get(key)?.['value'] as
    Uint8Array | undefined;
}

const equal = (one: Uint8Array, other: Uint8Array): boolean => Buffer.from(one).equals(other);
