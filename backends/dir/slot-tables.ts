import { CodedError, isCoded } from '../../src/base/errors.ts';
import { noHash, ownHash } from '../../src/log/own-hash.ts';
import type { Partition } from '../../src/log/event.ts';
import {
  type Appended,
  type Bounds,
  type Place,
  type StoredSlot,
  StoreWentBack,
} from '../../src/log/slot-driver.ts';
import type { Connection } from './connection.ts';
import type { PageRequest } from './protocol.ts';

/** Largest batch. Larger than the log's own limit; one large append may go alone. */
export const maxBatchBytes = 1024 * 1024;

const pagesGivenBack = 4096;

const recordedFloor = (partition: Partition): string =>
  `coalesce((SELECT floor FROM floors WHERE partition = '${partition}'), 1)`;

/**
 * One statement while all goes well, which is one transaction: a batch that must not be written is none
 * (NULL), which the table ignores. (`INSERT ... SELECT` from the same table would copy it once more.) Only
 * after a refusal is it repeated in a longer one, which finds the reason at the same moment.
 */
export function append(
  connection: Connection,
  partition: Partition,
  after: Place,
  batch: Uint8Array,
): Appended {
  if (batch.length > maxBatchBytes)
    throw new CodedError('too_large', `a batch of ${batch.length} bytes is above ${maxBatchBytes}`);
  connection.checkWritable(partition, batch.length);
  const slot = after.slot + 1;
  const begins = after.slot > 0 || noHash.equals(after.hash);
  const insert = connection.prepare(
    `INSERT OR IGNORE INTO ${partition}_slots (slot, batch) VALUES (?1, CASE
       WHEN ?1 > ${recordedFloor(partition)} AND (SELECT substr(batch, -32) FROM ${partition}_slots WHERE slot = ?1 - 1) = ?3
         THEN ?2
       WHEN ?1 = ${recordedFloor(partition)} THEN ?2 END)`,
  );
  const tryInsert = (): boolean => begins && insert.run(slot, batch, after.hash).changes === 1;
  const appended = settled(connection, partition, { slot, batch }, () =>
    connection.write(tryInsert)
      ? ({ status: 'committed' } as const)
      : connection.transact(() =>
          tryInsert() ? ({ status: 'committed' } as const) : refusal(connection, partition, slot, after.hash),
        ),
  );
  if (appended.status === 'committed') connection.tellOthers();
  return appended;
}

/** "Disk full" is believed when the slot is seen not to hold the batch. */
function settled(
  connection: Connection,
  partition: Partition,
  { slot, batch }: StoredSlot,
  act: () => Appended,
): Appended {
  try {
    return act();
  } catch (e) {
    if (!isCoded(e, 'no_space')) throw e;
    let stored: Uint8Array | undefined;
    try {
      stored = connection.snapshot(() => batchAt(connection, partition, slot));
    } catch {
      throw new CodedError('ambiguous', e.message, { cause: e });
    }
    if (stored !== undefined && Buffer.from(stored).equals(batch)) return { status: 'committed' };
    throw e;
  }
}

function refusal(connection: Connection, partition: Partition, slot: number, hash: Uint8Array): Appended {
  const { floor, head } = boundsNow(connection, partition);
  if (slot < floor) return { status: 'below floor', floor };
  if (!holds(connection, partition, floor, { slot: slot - 1, hash }))
    return { status: 'predecessor changed' };
  return { status: 'taken', head };
}

/** In one transaction, because waiting for the disk is the main cost. */
export function load(connection: Connection, partition: Partition, slots: readonly StoredSlot[]): void {
  connection.checkWritable(
    partition,
    slots.reduce((sum, { batch }) => sum + batch.length, 0),
  );
  const insert = connection.prepare(
    `INSERT INTO ${partition}_slots (slot, batch) VALUES (?, ?) ON CONFLICT DO NOTHING`,
  );
  connection.transact(() => {
    for (const { slot, batch } of slots) insert.run(slot, batch);
  });
  connection.tellOthers();
}

/** Slots from `from` or from the floor on until they hold `maxBytes`; at least one when there is one. */
export function page(
  connection: Connection,
  { partition, from, after, maxBytes }: PageRequest,
): StoredSlot[] {
  if (!isThere(connection, partition)) return [];
  const select = connection.prepare(
    `SELECT slot, batch FROM ${partition}_slots WHERE slot >= ? ORDER BY slot`,
  );
  return connection.snapshot(() => {
    const floor = floorNow(connection, partition);
    if (after !== undefined && !holds(connection, partition, floor, { slot: from - 1, hash: after }))
      throw new StoreWentBack(partition, from - 1);
    const slots: StoredSlot[] = [];
    let bytes = 0;
    for (const row of select.iterate(Math.max(from, floor))) {
      const { slot, batch } = row as unknown as StoredSlot;
      slots.push({ slot, batch });
      bytes += batch.length;
      if (bytes >= maxBytes) break;
    }
    return slots;
  });
}

export const bounds = (connection: Connection, partition: Partition): Bounds =>
  connection.snapshot(() => boundsNow(connection, partition));

/** The floor and the deletion in one transaction. */
export function trim(connection: Connection, partition: Partition, before: number): void {
  connection.checkFileWritable();
  const raise = connection.prepare(
    `INSERT INTO floors (partition, floor) VALUES (?, ?)
     ON CONFLICT (partition) DO UPDATE SET floor = max(floor, excluded.floor)`,
  );
  const giveUp = connection.prepare(`DELETE FROM ${partition}_slots WHERE slot < ?`);
  connection.transact(() => {
    const { floor, head } = boundsNow(connection, partition);
    const raised = Math.max(floor, Math.min(before, head + 1));
    raise.run(partition, raised);
    giveUp.run(raised);
  });
  connection.giveRoomBack(pagesGivenBack);
}

/** A partition that an earlier release did not know is empty in its file. */
const isThere = (connection: Connection, partition: Partition): boolean =>
  connection.has(`${partition}_slots`);

function boundsNow(connection: Connection, partition: Partition): Bounds {
  if (!isThere(connection, partition)) return { floor: 1, head: 0 };
  const floor = floorNow(connection, partition);
  const newest = connection.prepare(`SELECT max(slot) AS slot FROM ${partition}_slots`).get()?.['slot'];
  return { floor, head: Math.max(floor - 1, Number(newest ?? 0)) };
}

/** In a file of an earlier release, the floor is where its slots begin. */
function floorNow(connection: Connection, partition: Partition): number {
  const sql = connection.has('floors')
    ? `SELECT ${recordedFloor(partition)} AS floor`
    : `SELECT coalesce(min(slot), 1) AS floor FROM ${partition}_slots`;
  return Number(connection.prepare(sql).get()?.['floor']);
}

/** Slots below the floor are not known, and count as held. */
function holds(connection: Connection, partition: Partition, floor: number, { slot, hash }: Place): boolean {
  if (slot === 0 && floor === 1) return noHash.equals(hash);
  if (slot < floor) return true;
  const stored = batchAt(connection, partition, slot);
  return stored !== undefined && ownHash(stored).equals(hash);
}

const batchAt = (connection: Connection, partition: Partition, slot: number): Uint8Array | undefined =>
  connection.prepare(`SELECT batch FROM ${partition}_slots WHERE slot = ?`).get(slot)?.['batch'] as
    Uint8Array | undefined;
