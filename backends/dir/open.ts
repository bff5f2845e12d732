import { closeSync, lstatSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { NEVER } from 'rxjs';
import { CodedError, isCoded } from '../../src/base/errors.ts';
import { ensurePrivateDirectory } from '../../src/base/files.ts';
import { freeBytesOf } from '../../src/base/free-bytes.ts';
import type { Partition } from '../../src/log/event.ts';
import { ownHash } from '../../src/log/own-hash.ts';
import type { BlobStore, Room, SlotDriver, StoredSlot } from '../../src/log/slot-driver.ts';
import { databaseName, hintName } from './connection.ts';
import { refusalOnFullDisk, refuseNetworkFileSystem } from './file-system.ts';
import { hintsOf } from './hint-file.ts';
import type { BlobTable, Calls, Writing } from './protocol.ts';
import { maxBatchBytes } from './slot-tables.ts';
import { WorkerClient } from './worker-client.ts';
import { WriteTrouble, type Written } from './write-trouble.ts';

/**
 * The store in a local directory: `log.db` (SQLite) and `hint`. Any number of processes of one machine may
 * have it open. The directory is made when missing.
 * @throws CodedError `misconfigured` for a directory that others can enter, a network file system, or a file
 *   that is not our log; `unavailable`, `damaged` when it cannot be opened.
 */
export async function openDirectoryDriver({ path }: { readonly path: string }): Promise<SlotDriver> {
  ensurePrivateDirectory(path);
  refuseNetworkFileSystem(path);
  ensurePrivateFile(join(path, databaseName));
  const worker = new WorkerClient(path, 'write');
  await worker.open().catch((e: unknown) => {
    throw namingFullDisk(e, path);
  });
  return driver(worker, path);
}

/**
 * The same read-only: makes and changes nothing, and accepts no writes. Works beside a running daemon, and
 * one that starts or ends in the meantime.
 * @throws CodedError `not_found` when there is no log, `misconfigured` for a link in its place.
 */
export async function openDirectoryReader({ path }: { readonly path: string }): Promise<SlotDriver> {
  refuseLink(join(path, databaseName));
  const worker = new WorkerClient(path, 'read');
  await worker.open();
  const refuse = (): Promise<never> =>
    Promise.reject(new CodedError('unavailable', 'the log was opened for reading only'));
  const looking = driver(worker, path);
  const readable = (blobs: BlobStore): BlobStore => ({
    ...blobs,
    create: refuse,
    replace: refuse,
    destroy: refuse,
    remove: refuse,
  });
  return {
    ...looking,
    append: refuse,
    load: refuse,
    trim: refuse,
    hints: () => NEVER,
    vault: readable(looking.vault),
    snapshots: readable(looking.snapshots),
    meta: readable(looking.meta),
  };
}

function driver(worker: WorkerClient, path: string): SlotDriver {
  const hints = hintsOf(join(path, hintName));
  const trouble = new WriteTrouble((what) => refusalOnFullDisk(path, what));
  const write = async <O extends Writing>(
    what: Written,
    operation: O,
    args: Calls[O]['args'],
  ): Promise<Calls[O]['answer']> => {
    try {
      const answer = await worker.call(operation, args);
      trouble.succeeded(what);
      return answer;
    } catch (e) {
      trouble.failed(what, e);
      throw e;
    }
  };
  /** Each is conditional and may be repeated: a second reply settles the outcome of a first that was lost. */
  const writeBlob = async <O extends Writing>(
    what: Written,
    operation: O,
    args: Calls[O]['args'],
  ): Promise<Calls[O]['answer']> => {
    try {
      return await write(what, operation, args);
    } catch (e) {
      if (!isCoded(e, 'ambiguous')) throw e;
      return write(what, operation, args);
    }
  };
  const blobs = (table: BlobTable): BlobStore => ({
    create: (key, value) => writeBlob(table, 'create', { table, key, value }),
    replace: (key, from, to) => writeBlob(table, 'replace', { table, key, from, to }),
    get: (key) => worker.call('get', { table, key }),
    destroy: (key) => writeBlob('deleting', 'destroy', { table, key }),
    remove: (key) => writeBlob('deleting', 'remove', { table, key }),
    list: (prefix) => worker.call('list', { table, prefix }),
  });
  return {
    limits: { maxBatchBytes },
    append: (partition, { slot, hash }, batch) =>
      write(partition, 'append', { partition, after: { slot, hash: Uint8Array.from(hash) }, batch }),
    load: (partition, slots) => write(partition, 'load', { partition, slots }),
    read: (partition, from, after) => pages(worker, partition, from, after),
    bounds: (partition) => worker.call('bounds', { partition }),
    hints: () => hints,
    trim: (partition, before) => write('deleting', 'trim', { partition, before }),
    vault: blobs('vault'),
    snapshots: blobs('snapshots'),
    meta: blobs('meta'),
    report: () => {
      const { writes, trouble: told } = trouble.report();
      return {
        type: 'dir',
        place: path,
        writes,
        trouble: told ?? worker.trouble,
        figures: {},
        room: roomAt(path),
      };
    },
    close: () => worker.close(),
  };
}

function roomAt(path: string): Room {
  try {
    return { status: 'known', freeBytes: freeBytesOf(path), of: 'disk' };
  } catch {
    return { status: 'not known' }; // whoever reads or writes there gets the error
  }
}

/** Small first, since most readers want the newest slot only; larger for those who read on. */
const pageBytes = { first: 64 * 1024, max: 1024 * 1024 };

async function* pages(
  worker: WorkerClient,
  partition: Partition,
  from: number,
  after: Uint8Array | undefined,
): AsyncGenerator<StoredSlot> {
  let next = from;
  // A view would transfer its whole buffer to the thread as well.
  let known = after && Uint8Array.from(after);
  for (let maxBytes = pageBytes.first; ; maxBytes = Math.min(2 * maxBytes, pageBytes.max)) {
    const page = await worker.call('page', { partition, from: next, after: known, maxBytes });
    if (next > from && page[0] !== undefined && page[0].slot > next)
      await refuseTrimmedMeanwhile(worker, partition, next);
    yield* page;
    const last = page.at(-1);
    // A page that is not full was the last one.
    if (last === undefined || page.reduce((sum, one) => sum + one.batch.length, 0) < maxBytes) return;
    next = last.slot + 1;
    known = Uint8Array.from(ownHash(last.batch));
  }
}

/** Slots that were trimmed between two pages are not missing: the reader begins again. */
async function refuseTrimmedMeanwhile(
  worker: WorkerClient,
  partition: Partition,
  next: number,
): Promise<void> {
  const { floor } = await worker.call('bounds', { partition });
  if (floor > next)
    throw new CodedError('unavailable', `the ${partition} log was trimmed while it was read: read it again`);
}

/**
 * SQLite gives its other files the mode of this one. The target of a link was not checked: it may be on a
 * network file system, or where others write beside it.
 */
function ensurePrivateFile(path: string): void {
  refuseLink(path);
  closeSync(openSync(path, 'a', 0o600));
  const { mode } = statSync(path);
  if ((mode & 0o077) !== 0)
    throw new CodedError(
      'misconfigured',
      `${path} can be read or written by others (mode ${(mode & 0o777).toString(8).padStart(4, '0')}): chmod 0600 ${path}`,
    );
}

/** @throws CodedError `misconfigured` */
function refuseLink(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === false)
    throw new CodedError(
      'misconfigured',
      `${path} is not a file of its own: a link, a pipe or a directory; move the log itself here, or name its directory in storage.path`,
    );
}

/** SQLite reports an I/O error when there is no space for its files. */
export function namingFullDisk(
  e: unknown,
  path: string,
  refusal = refusalOnFullDisk(path, 'state'),
): unknown {
  if (!isCoded(e, 'unavailable') || refusal === undefined) return e;
  return new CodedError('unavailable', `${e.message}; ${refusal}: free space there`, { cause: e });
}
