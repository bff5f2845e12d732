import { type FileHandle, link, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { silentLog } from '../base/log-sink.ts';
import { syncFolder } from '../base/durable-files.ts';
import { CodedError, isCoded } from '../base/errors.ts';
import {
  type ArchiveEnd,
  encodeBlob,
  encodeJson,
  entryDigest,
  type EntryKind,
  firstDigest,
  kinds,
  magic,
  prefixOf,
} from './archive-format.ts';
import { type Batch, decodeBatch } from './batch.ts';
import { requireSnapshot, wholeSnapshots } from './copy-blobs.ts';
import { refuseUnfinished } from './copy-mark.ts';
import { type Partition, partitions } from './event.ts';
import { wasGivenUp } from './given-up.ts';
import { runsFolder } from './index-runs.ts';
import { isStoreKey } from './keyring-store.ts';
import { refuseStoreKeys } from './keys-in-store.ts';
import { PartitionFold } from './partition-fold.ts';
import { damaged, damageError } from './reader-condition.ts';
import { isLasting } from './data-keys.ts';
import type { Manifest } from './manifest.ts';
import { chainAt } from './segment-record.ts';
import type { SlotDriver, StoredSlot } from './slot-driver.ts';
import { SnapshotStore } from './snapshot-store.ts';
import { ToldOfArchive } from './verify-archive.ts';

export interface ExportOptions {
  readonly source: SlotDriver;
  readonly from: string;
  readonly exportedAt: string;
  /**
   * Whether the wrapped data keys are included. Without them sealed secrets stay sealed, wherever it is
   * imported.
   */
  readonly secrets: boolean;
  /**
   * Whether to include keys that are in the store itself and open the data keys: then the file alone is
   * enough to become the cluster.
   */
  readonly storeKeys: boolean;
}

export interface Exported extends ArchiveEnd {
  /** Of the whole archive, in hexadecimal. */
  readonly digest: string;
  readonly fileBytes: number;
}

/**
 * Writes the log to a new file (0600), beside a running cluster: each partition as it is when it is read. The
 * file appears under its name when it is whole.
 * @throws CodedError `already_exists` when there is a file; `bad_request` when secrets are requested whose
 *   keys are in the store itself, without those keys; `damaged`, naming the slot; `not_found` for an empty
 *   store.
 */
export async function exportLog(path: string, options: ExportOptions): Promise<Exported> {
  const temporary = `${path}.${process.pid}.part`;
  await refuseUnfinished(options.source, 'reading');
  await refuseExisting(path);
  if (options.secrets && !options.storeKeys) await refuseStoreKeys(options.source, 'the archive');
  const file = await open(temporary, 'wx', 0o600);
  try {
    const writer = new EntryWriter(file);
    const end = await writeAll(writer, options);
    await writer.flush();
    await file.sync();
    await file.close();
    await link(temporary, path);
    await rm(temporary);
    await syncFolder(dirname(path));
    return { ...end, digest: writer.digest.toString('hex'), fileBytes: writer.bytes };
  } catch (e) {
    await file.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw asCoded(e);
  }
}

/** A full disk is an expected error, not a bug. */
function asCoded(e: unknown): unknown {
  if (isCoded(e) || !(e instanceof Error) || !('code' in e)) return e;
  if (e.code === 'EEXIST') return new CodedError('already_exists', `the file exists: name another one`);
  if (e.code === 'ENOSPC' || e.code === 'EDQUOT' || e.code === 'EFBIG')
    return new CodedError('no_space', `the archive could not be written: ${e.message}`, { cause: e });
  return e;
}

async function refuseExisting(path: string): Promise<void> {
  const there = await open(path, 'r').catch((e: unknown) => {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw e;
  });
  if (there === undefined) return;
  await there.close();
  throw new CodedError('already_exists', `${path} exists: name another file`);
}

async function writeAll(writer: EntryWriter, options: ExportOptions): Promise<ArchiveEnd> {
  const { source, from, exportedAt, secrets, storeKeys } = options;
  await writer.add(kinds.header, encodeJson({ version: 1, exportedAt, from, secrets }));
  const written: ArchiveEnd['partitions'] = [];
  let snapshots = 0;
  const told = new ToldOfArchive(source, 'audit');
  for (const partition of partitions) {
    const newest = await newestSnapshot(source, partition);
    if (newest !== undefined) {
      await writeSnapshot(writer, source, newest);
      snapshots++;
    }
    written.push(await writeSlots(writer, source, { partition, newest, told }));
  }
  if (written[0]?.lastSlot === 0) throw new CodedError('not_found', `there is no log in ${from}`);
  let dataKeys = 0;
  if (secrets)
    for (const [store, lasting] of [
      [source.vault, (key: string) => isLasting(key) && (storeKeys || !isStoreKey(key))],
      [source.meta, (key: string) => storeKeys && isStoreKey(key)],
    ] as const)
      for (const key of (await store.list('')).filter(lasting)) {
        const value = await store.get(key);
        // Destroyed since it was listed.
        if (value === undefined) continue;
        await writer.add(kinds.dataKey, encodeBlob(key, value));
        dataKeys++;
      }
  const end = { partitions: written, snapshots, dataKeys };
  await writer.add(kinds.end, encodeJson(end));
  return end;
}

/**
 * A snapshot that needs runs is left out where its partition is whole: the previous release could not read
 * it. Where the beginning was moved to an archive, the log is not opened without one, and its runs go along.
 */
async function newestSnapshot(source: SlotDriver, partition: Partition): Promise<Manifest | undefined> {
  const isWhole = (await source.bounds(partition)).floor <= 1;
  for await (const one of new SnapshotStore(source.snapshots, partition, silentLog).newestFirst())
    if (one.version !== 2 || !isWhole) return one;
  return undefined;
}

/** A snapshot that newer ones have replaced cannot be read to its end. */
const overtaken = (partition: string): CodedError =>
  new CodedError('unavailable', `${partition} was compacted while it was read: export again`);

async function writeSnapshot(writer: EntryWriter, source: SlotDriver, newest: Manifest): Promise<void> {
  const folder = `${newest.partition}/${String(newest.slot).padStart(16, '0')}/`;
  const runs: string[] = [];
  if (newest.version === 2)
    for (const { id } of newest.runs)
      runs.push(...(await source.snapshots.list(`${runsFolder(newest.partition as Partition)}${id}/`)));
  const parts = wholeSnapshots(await source.snapshots.list(folder)).sort(manifestLast);
  for (const key of [...runs, ...parts]) {
    const value = await source.snapshots.get(key);
    if (value === undefined) throw overtaken(newest.partition);
    await writer.add(kinds.snapshot, encodeBlob(key, value));
  }
}

const manifestLast = (a: string, b: string): number =>
  Number(a.endsWith('/manifest')) - Number(b.endsWith('/manifest'));

/**
 * From the beginning; where that was trimmed, from the first slot that the snapshot in the archive needs; of
 * one that was moved elsewhere, all that the store has.
 */
async function firstToWrite(
  source: SlotDriver,
  partition: Partition,
  newest: Manifest | undefined,
): Promise<number> {
  for await (const { slot } of source.read(partition, 1)) {
    if (slot === 1) return 1;
    if (!(await wasGivenUp(source, partition, slot - 1)))
      throw damageError(damaged(partition, (await source.bounds(partition)).floor, 'it is missing'));
    await requireSnapshot(source, partition, 'the log');
    return newest === undefined || newest.version === 2 ? slot : newest.floor;
  }
  return 1;
}

async function writeSlots(
  writer: EntryWriter,
  source: SlotDriver,
  {
    partition,
    newest,
    told,
  }: {
    readonly partition: Partition;
    readonly newest: Manifest | undefined;
    /** Of the archive, by what is written of `state`, which comes first. */
    readonly told: ToldOfArchive;
  },
): Promise<ArchiveEnd['partitions'][number]> {
  const from = await firstToWrite(source, partition, newest);
  const walk = new Walk(source, partition);
  for await (const stored of source.read(partition, from)) {
    const batch = await walk.take(stored);
    if (partition === 'state') told.take(batch);
    await writer.add(kinds.batch, stored.batch);
  }
  if (walk.firstSlot > Math.max(1, newest?.slot ?? 0)) throw overtaken(partition);
  // Moved since `state` was written: what the file says of it would not be enough to prove it.
  if (partition === 'audit' && walk.firstSlot > 1 && chainAt(told.record, walk.firstSlot - 1) === undefined)
    throw overtaken(partition);
  return walk.counted();
}

/** Checks slots against the chain, and counts them. */
class Walk {
  readonly #source: SlotDriver;
  readonly #partition: Partition;
  #fold: PartitionFold;
  #before = 0;
  #bytes = 0;
  firstSlot = 0;

  constructor(source: SlotDriver, partition: Partition) {
    this.#source = source;
    this.#partition = partition;
    this.#fold = new PartitionFold(partition);
  }

  async take({ slot, batch: stored }: StoredSlot): Promise<Batch> {
    try {
      const batch = decodeBatch(stored);
      if (this.firstSlot === 0) {
        this.firstSlot = slot;
        if (slot > 1) this.#fold = PartitionFold.before(batch);
        this.#before = this.#fold.position;
      }
      if (slot !== this.#fold.slot + 1)
        throw await whyMissing(this.#source, this.#partition, this.#fold.slot + 1);
      this.#fold.admit(batch);
      this.#bytes += stored.length;
      return batch;
    } catch (e) {
      throw isCoded(e, 'damaged') ? damageError(damaged(this.#partition, slot, e.message)) : e;
    }
  }

  counted(): ArchiveEnd['partitions'][number] {
    const { slot: lastSlot, position, hash: head } = this.#fold;
    return {
      partition: this.#partition,
      firstSlot: this.firstSlot,
      lastSlot,
      events: position - this.#before,
      bytes: this.#bytes,
      head: head.toString('hex'),
    };
  }
}

async function whyMissing(source: SlotDriver, partition: Partition, slot: number): Promise<CodedError> {
  if (await wasGivenUp(source, partition, slot)) return overtaken(partition);
  return new CodedError('damaged', `slot ${slot} is missing`);
}

const flushBytes = 1024 * 1024;

/** Appends entries to a file, each chained to the one before. */
class EntryWriter {
  readonly #file: FileHandle;
  #digest = firstDigest;
  #pending: Uint8Array[] = [magic];
  #pendingBytes = magic.length;
  bytes = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  get digest(): Buffer {
    return this.#digest;
  }

  async add(kind: EntryKind, payload: Uint8Array): Promise<void> {
    const prefix = prefixOf(kind, payload.length);
    this.#digest = entryDigest(this.#digest, prefix, payload);
    this.#pending.push(prefix, payload, this.#digest);
    this.#pendingBytes += prefix.length + payload.length + this.#digest.length;
    if (this.#pendingBytes >= flushBytes) await this.flush();
  }

  async flush(): Promise<void> {
    const all = Buffer.concat(this.#pending);
    for (let at = 0; at < all.length;) at += (await this.#file.write(all, at)).bytesWritten;
    this.bytes += all.length;
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}
