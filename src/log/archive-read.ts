import { type FileHandle, open } from 'node:fs/promises';
import { NEVER } from 'rxjs';
import { readAt } from '../base/durable-files.ts';
import { CodedError } from '../base/errors.ts';
import {
  type ArchiveEnd,
  type ArchiveHeader,
  decodeBlob,
  decodeEnd,
  decodeHeader,
  digestBytes,
  entryDigest,
  firstDigest,
  kinds,
  magic,
  maxPayloadBytes,
  prefixBytes,
} from './archive-format.ts';
import { decodeBatch } from './batch.ts';
import { ownHash } from './own-hash.ts';
import type { Partition } from './event.ts';
import { isStoreKey } from './keyring-store.ts';
import {
  type BlobStore,
  type Bounds,
  type SlotDriver,
  type StoredSlot,
  StoreWentBack,
} from './slot-driver.ts';

/** Where something is in the file. */
interface Place {
  readonly at: number;
  readonly length: number;
}

/** An archive whose every byte was verified. */
export interface Archive {
  readonly header: ArchiveHeader;
  readonly end: ArchiveEnd;
  /** Of the whole, in hexadecimal: as `exportLog` returned it. */
  readonly digest: string;
  /**
   * The archive as a read-only store: for `verifyLog`, for `openLog` with a keyring that opens nothing, and
   * for import.
   */
  readonly driver: SlotDriver;
  /** The same as closing the driver. */
  close(): Promise<void>;
}

/**
 * Opens an archive, and checks the digest of each entry first.
 * @throws CodedError `damaged` for a file that is not an archive, was changed or cut off, naming the byte
 *   where; `not_found` when there is no file.
 */
export async function openArchive(path: string): Promise<Archive> {
  const file = await open(path, 'r').catch((e: unknown) => {
    const { code } = e as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new CodedError('not_found', `there is no file ${path}`);
    if (code === 'EACCES') throw new CodedError('access_denied', `${path} may not be read by this user`);
    throw e;
  });
  try {
    const index = new Index(path);
    await index.fill(file);
    const { header, end } = index.whole();
    return {
      header,
      end,
      digest: index.digest.toString('hex'),
      driver: driverOf(path, file, index, end),
      close: () => file.close(),
    };
  } catch (e) {
    await file.close();
    throw e;
  }
}

/** Whether the file begins as an archive does. */
export async function isArchive(path: string): Promise<boolean> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return false;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(magic.length), 0, magic.length, 0);
    return bytesRead === magic.length && buffer.equals(magic);
  } catch {
    return false; // a directory
  } finally {
    await file.close();
  }
}

/** The places of all entries, from one reading of the whole file. */
class Index {
  readonly slots: Record<Partition, Map<number, Place>> = {
    state: new Map(),
    attempts: new Map(),
    presence: new Map(),
    audit: new Map(),
  };
  readonly snapshots = new Map<string, Place>();
  readonly dataKeys = new Map<string, Place>();
  digest: Buffer = firstDigest;
  readonly #path: string;
  #header: ArchiveHeader | undefined;
  #end: ArchiveEnd | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async fill(file: FileHandle): Promise<void> {
    const { size } = await file.stat();
    const begin = await readExactly(file, { at: 0, length: Math.min(size, magic.length) });
    if (!begin.equals(magic))
      throw new CodedError('damaged', `${this.#path} is not an archive of a log that this version reads`);
    for (let at = magic.length; at < size;) at = await this.#entry(file, at, size);
  }

  whole(): { header: ArchiveHeader; end: ArchiveEnd } {
    if (this.#header === undefined || this.#end === undefined)
      throw new CodedError('damaged', `${this.#path} is cut off: its end is missing`);
    for (const { partition, firstSlot, lastSlot } of this.#end.partitions)
      if (this.slots[partition].size !== (lastSlot === 0 ? 0 : lastSlot - firstSlot + 1))
        throw new CodedError(
          'damaged',
          `${this.#path} does not hold the slots of ${partition} that its end counts`,
        );
    return { header: this.#header, end: this.#end };
  }

  /** Returns where the next one begins. */
  async #entry(file: FileHandle, at: number, size: number): Promise<number> {
    const wrong = (reason: string): CodedError =>
      new CodedError('damaged', `${this.#path} is damaged at byte ${at}: ${reason}`);
    if (this.#end !== undefined) throw wrong('something follows the end');
    if (size - at < prefixBytes + digestBytes) throw wrong('it is cut off');
    const prefix = await readExactly(file, { at, length: prefixBytes });
    const length = prefix.readUInt32BE(1);
    if (length > maxPayloadBytes || size - at < prefixBytes + length + digestBytes)
      throw wrong('it is cut off');
    const place = { at: at + prefixBytes, length };
    const rest = await readExactly(file, { at: place.at, length: length + digestBytes });
    const payload = rest.subarray(0, length);
    const digest = entryDigest(this.digest, prefix, payload);
    if (!digest.equals(rest.subarray(length))) throw wrong('the bytes do not have their digest');
    this.digest = digest;
    try {
      this.#note(prefix[0] ?? 0, payload, place);
    } catch (e) {
      throw e instanceof CodedError ? wrong(e.message) : e;
    }
    return place.at + length + digestBytes;
  }

  #note(kind: number, payload: Buffer, place: Place): void {
    if ((kind === kinds.header) !== (this.#header === undefined))
      throw new CodedError('damaged', 'the header is not the first entry');
    switch (kind) {
      case kinds.header:
        this.#header = decodeHeader(payload);
        return;
      case kinds.batch: {
        const { partition, slot } = decodeBatch(payload);
        this.slots[partition].set(slot, place);
        return;
      }
      case kinds.snapshot:
        this.snapshots.set(...placed(payload, place));
        return;
      case kinds.dataKey:
        this.dataKeys.set(...placed(payload, place));
        return;
      case kinds.end:
        this.#end = decodeEnd(payload);
        return;
      default:
        throw new CodedError('damaged', `entries of kind ${kind} are not known to this version`);
    }
  }
}

function placed(payload: Buffer, { at, length }: Place): [string, Place] {
  const { key, value } = decodeBlob(payload);
  return [key, { at: at + length - value.length, length: value.length }];
}

async function readExactly(file: FileHandle, { at, length }: Place): Promise<Buffer> {
  const bytes = await readAt(file, at, length);
  if (bytes.length < length) throw new CodedError('damaged', 'the archive became shorter while it was read');
  return bytes;
}

const only = (places: ReadonlyMap<string, Place>, of: (key: string) => boolean): Map<string, Place> =>
  new Map([...places].filter(([key]) => of(key)));

/** The floor is where its slots begin: earlier ones were trimmed, or not included. */
function boundsIn({ partitions: all }: ArchiveEnd, partition: Partition): Bounds {
  const found = all.find((one) => one.partition === partition);
  return { floor: Math.max(1, found?.firstSlot ?? 1), head: found?.lastSlot ?? 0 };
}

function driverOf(path: string, file: FileHandle, index: Index, end: ArchiveEnd): SlotDriver {
  const refuse = (): Promise<never> =>
    Promise.reject(new CodedError('unavailable', 'an archive is for reading only'));
  const blobs = (places: ReadonlyMap<string, Place>): BlobStore => ({
    create: refuse,
    replace: refuse,
    destroy: refuse,
    remove: refuse,
    get: async (key) => {
      const place = places.get(key);
      return place && readExactly(file, place);
    },
    list: (prefix) => Promise.resolve([...places.keys()].filter((key) => key.startsWith(prefix)).sort()),
  });
  return {
    limits: { maxBatchBytes: Number.MAX_SAFE_INTEGER },
    append: refuse,
    load: refuse,
    trim: refuse,
    hints: () => NEVER,
    bounds: (partition) => Promise.resolve(boundsIn(end, partition)),
    read: async function* (partition, from, after): AsyncGenerator<StoredSlot> {
      const before = after && index.slots[partition].get(from - 1);
      if (after && from > boundsIn(end, partition).floor)
        if (before === undefined || !ownHash(await readExactly(file, before)).equals(after))
          throw new StoreWentBack(partition, from - 1);
      for (const [slot, place] of index.slots[partition])
        if (slot >= from) yield { slot, batch: await readExactly(file, place) };
    },
    vault: blobs(only(index.dataKeys, (key) => !isStoreKey(key))),
    meta: blobs(only(index.dataKeys, isStoreKey)),
    snapshots: blobs(index.snapshots),
    report: () => ({ type: 'archive', place: path, writes: 'taken', trouble: undefined, figures: {} }),
    close: () => file.close(),
  };
}
