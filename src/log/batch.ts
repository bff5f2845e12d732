import { hash } from 'node:crypto';
import { CodedError, messageOf } from '../base/errors.ts';
import { type Authenticity, macBytes, macKeyIdBytes } from './authenticity.ts';
import { type Partition, partitions, type Position, type Recorded } from './event.ts';
import { hashBytes, ownHash } from './own-hash.ts';
import { readEvents } from './stored-event.ts';
import { isUuidV7, uuidBytes, uuidText } from './uuid-v7.ts';

/**
 * What one slot holds. Canonical bytes, version 1, big-endian:
 *
 *     u8 version | u64 slot | u64 first position | 32 hash of the batch before | 16 batch id
 *     u8 length, partition | u8 length, writer | u16 number of events | events, one JSON list in UTF-8 | 32
 *     own hash
 *
 * The own hash is SHA-256 over everything before it. Slot and partition are inside, so that a batch that was
 * moved is found as well as one that was changed. Of every later version the first byte and the own hash at
 * the end stay as they are: so one that a newer version wrote is distinguished from one that was damaged.
 *
 * Version 2 has, before the own hash, `8 key id | 32 MAC` over everything before the MAC: only who holds the
 * key of the log can write it (RFD 0022).
 */
export interface BatchHeader {
  readonly partition: Partition;
  readonly slot: number;
  readonly firstPosition: Position;
  /** Own hash of the batch before; zeros for slot 1. */
  readonly previous: Buffer;
  /** UUID version 7, by which an append finds its own batch after a lost reply. */
  readonly id: string;
  /** Host id of the process that wrote it. */
  readonly writer: string;
}

export interface Batch extends BatchHeader {
  readonly version: 1 | 2;
  readonly hash: Buffer;
  readonly events: readonly Recorded[];
  /** Size as stored. */
  readonly bytes: number;
}

/** The newest version that this release reads, and the first that has a MAC. */
export const batchVersion = 2;
export const maxBatchEvents = 512;
/**
 * Largest batch, whatever the store accepts: slots are only copied as a whole, so that every log can move to
 * every store. Below the smallest limit (DynamoDB: items of 400 KB).
 */
export const maxBatchBytes = 320 * 1024;

const fixedBytes = 1 + 8 + 8 + hashBytes + 16;
/** The additional bytes of version 2. */
const sealBytes = macKeyIdBytes + macBytes;

/**
 * Follows the writer in a batch of version 1 when the writer understands version 2. It shows when no older
 * release writes any more.
 */
const readsNewer = ' reads 2';

/** The writer field of a batch of version 1. */
export const upToDate = (writer: string): string => `${writer}${readsNewer}`;

/** Whether a process wrote it that does not understand version 2. */
export const isByOlderRelease = ({ version, writer }: Pick<Batch, 'version' | 'writer'>): boolean =>
  version === 1 && !writer.endsWith(readsNewer);

/**
 * Bytes of a batch besides its events and the commas between them. An upper bound: not every version needs
 * all.
 */
export const batchOverhead = (partition: Partition, writer: string): number =>
  fixedBytes + 2 + partition.length + Buffer.byteLength(upToDate(writer)) + 2 + 2 + sealBytes + hashBytes;

/** `events` are texts of `placeEvent`. Version 2 with `authenticity`, else version 1. */
export function encodeBatch(
  header: BatchHeader,
  events: readonly string[],
  authenticity?: Authenticity,
): Buffer {
  const writer = Buffer.from(header.writer);
  if (writer.length === 0 || writer.length > 255) throw new RangeError('a writer has 1 to 255 bytes');
  const fixed = Buffer.alloc(fixedBytes);
  fixed[0] = authenticity ? 2 : 1;
  fixed.writeBigUInt64BE(BigInt(header.slot), 1);
  fixed.writeBigUInt64BE(BigInt(header.firstPosition), 9);
  fixed.set(header.previous, 17);
  fixed.set(uuidBytes(header.id), 17 + hashBytes);
  const count = Buffer.alloc(2);
  count.writeUInt16BE(events.length);
  const content = Buffer.concat([
    fixed,
    Buffer.of(header.partition.length),
    Buffer.from(header.partition),
    Buffer.of(writer.length),
    writer,
    count,
    Buffer.from(`[${events.join(',')}]`),
    ...(authenticity ? [authenticity.keyId] : []),
  ]);
  const whole = authenticity ? Buffer.concat([content, authenticity.mac('batch', content)]) : content;
  return Buffer.concat([whole, hash('sha256', whole, 'buffer')]);
}

/**
 * What is wrong with the MAC of a batch that decodes; undefined when it is good, or of version 1, which has
 * none.
 * @param stored the bytes it was decoded from.
 */
export function macFault(stored: Uint8Array, authenticity: Authenticity): string | undefined {
  const { keyId } = authenticity;
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  if (bytes[0] === 1) return undefined;
  const mac = bytes.subarray(-macBytes - hashBytes, -hashBytes);
  const content = bytes.subarray(0, -macBytes - hashBytes);
  const named = content.subarray(-macKeyIdBytes);
  if (!named.equals(keyId))
    return `its MAC is under the key ${named.toString('hex')}, and that of this log is ${keyId.toString('hex')}: somebody who does not hold the keyring wrote it`;
  return authenticity.holds('batch', content, mac)
    ? undefined
    : 'it does not have its MAC: somebody who does not hold the keyring wrote it';
}

/**
 * A stored batch's link in the chain, without reading its events; undefined when it is not a batch, or not
 * sound.
 */
export function linkOf(
  stored: Uint8Array,
):
  | { readonly version: number; readonly slot: number; readonly previous: Buffer; readonly hash: Buffer }
  | undefined {
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  if (bytes.length < fixedBytes + hashBytes) return undefined;
  const own = ownHash(stored);
  if (!hash('sha256', bytes.subarray(0, -hashBytes), 'buffer').equals(own)) return undefined;
  const [version = 0] = bytes;
  return {
    version,
    slot: Number(bytes.readBigUInt64BE(1)),
    previous: Buffer.from(bytes.subarray(17, 17 + hashBytes)),
    hash: Buffer.from(own),
  };
}

/** Whether a stored batch has a version with a MAC. Reads its first byte only. */
export const hasMac = (stored: Uint8Array): boolean => (stored[0] ?? 0) >= 2;

/**
 * Reads what `encodeBatch` wrote, and nothing else.
 * @throws CodedError `damaged` for any other bytes; `unavailable` for a whole batch of a later version.
 */
export function decodeBatch(stored: Uint8Array): Batch {
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  try {
    return read(bytes);
  } catch (cause) {
    if (cause instanceof CodedError) throw cause;
    throw damaged(messageOf(cause), { cause });
  }
}

const damaged = (reason: string, options?: ErrorOptions): CodedError =>
  new CodedError('damaged', reason, options);

const newer = (version: number): CodedError =>
  new CodedError(
    'unavailable',
    `it was written by a newer version of teleport (batch format ${version}, this one knows ${batchVersion}): upgrade`,
  );

function read(bytes: Buffer): Batch {
  if (bytes.length < fixedBytes + hashBytes) throw damaged('too short for a batch');
  const content = bytes.subarray(0, -hashBytes);
  const own = bytes.subarray(-hashBytes);
  if (!hash('sha256', content, 'buffer').equals(own)) throw damaged('the bytes do not have their hash');
  const version = versionOf(content);
  const cursor = new Cursor(version === 2 ? content.subarray(0, -sealBytes) : content, fixedBytes);
  const partition = partitionOf(cursor.text(cursor.u8()));
  const writer = cursor.text(cursor.u8());
  const count = cursor.u16();
  const slot = safeNumber(bytes.readBigUInt64BE(1));
  const firstPosition = safeNumber(bytes.readBigUInt64BE(9));
  const id = uuidText(bytes.subarray(17 + hashBytes, fixedBytes));
  if (!isUuidV7(id)) throw damaged('bad batch id');
  if (writer === '') throw damaged('no writer');
  const events = readEvents(cursor.rest(), firstPosition);
  if (events.length !== count || count === 0) throw damaged('the number of events is wrong');
  return {
    version,
    partition,
    slot,
    firstPosition,
    previous: Buffer.from(bytes.subarray(17, 17 + hashBytes)),
    id,
    writer,
    hash: Buffer.from(own),
    events,
    bytes: bytes.length,
  };
}

function versionOf(content: Buffer): Batch['version'] {
  const [version = 0] = content;
  if (version > batchVersion) throw newer(version);
  if (version !== 1 && version !== 2) throw damaged(`version ${version} is not known`);
  if (version === 2 && content.length < fixedBytes + sealBytes) throw damaged('too short for a batch');
  return version;
}

function partitionOf(name: string): Partition {
  const known = partitions.find((one) => one === name);
  if (known === undefined) throw damaged('unknown partition');
  return known;
}

function safeNumber(value: bigint): number {
  if (value < 1n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged('a number is out of range');
  return Number(value);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Cursor {
  readonly #bytes: Buffer;
  #at: number;
  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }
  u8(): number {
    return this.#bytes.readUInt8(this.#at++);
  }
  u16(): number {
    this.#at += 2;
    return this.#bytes.readUInt16BE(this.#at - 2);
  }
  text(length: number): string {
    if (this.#at + length > this.#bytes.length) throw damaged('cut off');
    this.#at += length;
    return utf8.decode(this.#bytes.subarray(this.#at - length, this.#at));
  }
  rest(): string {
    return utf8.decode(this.#bytes.subarray(this.#at));
  }
}
