import { type Partition, partitions } from '../../src/log/event.ts';

export const schemaVersion = 1;
/** `TLOG`: distinguishes the file from other databases. */
export const applicationId = 0x544c4f47;

const slotTable = (partition: Partition): string =>
  `CREATE TABLE IF NOT EXISTS ${partition}_slots (slot INTEGER PRIMARY KEY, batch BLOB NOT NULL);`;

export const schema = `
  ${partitions.map(slotTable).join('\n')}
  CREATE TABLE IF NOT EXISTS vault (key TEXT PRIMARY KEY, value BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS snapshots (key TEXT PRIMARY KEY, value BLOB NOT NULL);
  PRAGMA application_id = ${applicationId};
  PRAGMA user_version = ${schemaVersion};
`;

/**
 * Tables that a file of an earlier release lacks. Such a release can still run beside it, as it uses only its
 * own tables, so the version is not raised.
 */
export const laterTables = ['meta', 'tombstones', 'floors', 'attempts_slots'] as const;

/** A log that was trimmed by a release without floors has its floor where its slots begin. */
export const laterSchema = `
  CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL);
  CREATE TABLE IF NOT EXISTS tombstones (store TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (store, key)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS floors (partition TEXT PRIMARY KEY, floor INTEGER NOT NULL) WITHOUT ROWID;
  ${slotTable('attempts')}
  ${partitions.map((name) => `INSERT INTO floors SELECT '${name}', coalesce((SELECT min(slot) FROM ${name}_slots), 1) WHERE true ON CONFLICT DO NOTHING;`).join('\n')}
`;
