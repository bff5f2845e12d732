import { hash } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import { instant } from '../base/time.ts';
import type { Authenticity } from './authenticity.ts';
import { maxBatchBytes } from './batch.ts';
import { hashBytes } from './own-hash.ts';
import type { StoredSlot } from './slot-driver.ts';

/*
 * A segment: consecutive slots of one partition, moved out of the store. Big-endian:
 *
 *     magic | u32 length, header: JSON in UTF-8 | 32 MAC | 32 SHA-256 of all before it | blocks
 *
 * A block is compressed (zstd): for each of its slots `u32 length, batch` as it was stored, byte for byte.
 * The header has the digest of each block as it lies there, so that its own digest, and its MAC, cover all.
 * The MAC (RFD 0022, under a key for segments alone) is over what the digest is over, without the MAC;
 * without a keyring it is zeros.
 */

export const segmentMagic = Buffer.from('teleport log segment 1\n');
const macBytes = 32;
const digestBytes = 32;
/** Of a block before it is compressed: what is read for one slot. One batch may be larger. */
export const blockBytes = 1024 * 1024;
const longestBlock = blockBytes + 4 + 64 * maxBatchBytes;
const longestHeader = 16 * 1024 * 1024;
/** What is read first: nearly every header is shorter. */
export const firstRead = 64 * 1024;

const natural = z.number().int().nonnegative();
const hex32 = z.string().regex(/^[0-9a-f]{64}$/);

const block = z.strictObject({
  /** The slots in it begin with this one. */
  slot: natural,
  /** From the end of the header. */
  at: natural,
  bytes: natural,
  digest: hex32,
});

const headerShape = z.strictObject({
  version: z.literal(1),
  partition: z.string(),
  firstSlot: natural.min(1),
  lastSlot: natural.min(1),
  /** Of its first and last event. */
  firstPosition: natural.min(1),
  lastPosition: natural.min(1),
  from: instant,
  until: instant,
  /** Own hash of the batch before it, and of the last one in it: the chain goes through. */
  before: hex32,
  head: hex32,
  /** Of the batches, uncompressed. */
  batchBytes: natural,
  /** Of the key that its MAC is under; absent where it has none. */
  macKeyId: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .optional(),
  blocks: z.array(block).min(1),
});
export type SegmentHeader = z.output<typeof headerShape>;
/** What a segment is of; the rest of its header follows from the batches. */
export type SegmentAbout = Omit<SegmentHeader, 'version' | 'blocks' | 'batchBytes' | 'macKeyId'>;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
const compression = { params: { [constants.ZSTD_c_compressionLevel]: 6 } };

/** A header that was read, and where the blocks begin. */
export interface OpenSegment {
  readonly header: SegmentHeader;
  readonly blocksAt: number;
}

/** Makes a segment of slots as they come; holds them compressed. */
export class SegmentWriter {
  readonly #blocks: { readonly slot: number; readonly bytes: Buffer }[] = [];
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #firstPending = 0;
  #batchBytes = 0;
  readonly #blockBytes: number;

  /** @param ofBlock for tests. */
  constructor(ofBlock: number = blockBytes) {
    this.#blockBytes = ofBlock;
  }

  /** Of the batches so far. */
  get batchBytes(): number {
    return this.#batchBytes;
  }

  async add({ slot, batch }: StoredSlot): Promise<void> {
    if (this.#pending.length === 0) this.#firstPending = slot;
    const length = Buffer.alloc(4);
    length.writeUInt32BE(batch.length);
    this.#pending.push(length, batch);
    this.#pendingBytes += 4 + batch.length;
    this.#batchBytes += batch.length;
    if (this.#pendingBytes >= this.#blockBytes) await this.#flush();
  }

  /** The whole segment. `authenticity` makes its MAC. */
  async end(about: SegmentAbout, authenticity: Authenticity | undefined): Promise<Buffer> {
    await this.#flush();
    let at = 0;
    const blocks = this.#blocks.map(({ slot, bytes }) => {
      const one = { slot, at, bytes: bytes.length, digest: hash('sha256', bytes, 'hex') };
      at += bytes.length;
      return one;
    });
    const macKeyId = authenticity && { macKeyId: authenticity.keyId.toString('hex') };
    const header = { version: 1, ...about, batchBytes: this.#batchBytes, ...macKeyId, blocks } as const;
    const json = Buffer.from(JSON.stringify(headerShape.parse(header)));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(json.length);
    const begin = Buffer.concat([segmentMagic, length, json]);
    const mac = authenticity?.mac('segment', begin) ?? Buffer.alloc(macBytes);
    const signed = Buffer.concat([begin, mac]);
    const digest = hash('sha256', signed, 'buffer');
    return Buffer.concat([signed, digest, ...this.#blocks.map(({ bytes }) => bytes)]);
  }

  async #flush(): Promise<void> {
    if (this.#pending.length === 0) return;
    const bytes = await compress(Buffer.concat(this.#pending), compression);
    this.#blocks.push({ slot: this.#firstPending, bytes });
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}

const damaged = (reason: string, cause?: unknown): CodedError => new CodedError('damaged', reason, { cause });

/**
 * How many bytes of a segment hold its header.
 * @param begin its first `firstRead` bytes, or all that it has.
 * @throws CodedError `damaged`
 */
export function headerEnd(begin: Uint8Array): number {
  const bytes = Buffer.from(begin.buffer, begin.byteOffset, begin.byteLength);
  const at = segmentMagic.length;
  if (bytes.length < at + 4 || !bytes.subarray(0, at).equals(segmentMagic))
    throw damaged('it does not begin as a segment that this version reads');
  const length = bytes.readUInt32BE(at);
  if (length > longestHeader) throw damaged('the length of its header is not what was written');
  return at + 4 + length + macBytes + digestBytes;
}

/**
 * Reads the header.
 * @param begin at least `headerEnd` bytes of the segment.
 * @param size of the whole.
 * @param authenticity checks its MAC; without it MACs are not checked.
 * @throws CodedError `damaged`; `misconfigured` for a segment of another log.
 */
export function readHeader(
  begin: Uint8Array,
  size: number,
  authenticity: Authenticity | undefined,
): OpenSegment {
  const blocksAt = headerEnd(begin);
  if (begin.length < blocksAt) throw damaged('it is cut off');
  const bytes = Buffer.from(begin.buffer, begin.byteOffset, blocksAt);
  const signed = bytes.subarray(0, -digestBytes);
  if (!hash('sha256', signed, 'buffer').equals(bytes.subarray(-digestBytes)))
    throw damaged('its header does not have its digest');
  const header = parseHeader(bytes.subarray(segmentMagic.length + 4, -macBytes - digestBytes));
  if (authenticity) checkMac(signed, header, authenticity);
  checkBlocks(header, size - blocksAt);
  return { header, blocksAt };
}

function parseHeader(json: Buffer): SegmentHeader {
  let value: unknown;
  try {
    value = JSON.parse(json.toString());
  } catch (cause) {
    throw damaged('its header is not JSON', cause);
  }
  const parsed = headerShape.safeParse(value);
  if (!parsed.success) throw damaged('this version does not understand its header', parsed.error);
  return parsed.data;
}

function checkMac(signed: Buffer, { macKeyId }: SegmentHeader, authenticity: Authenticity): void {
  const own = authenticity.keyId.toString('hex');
  if (macKeyId === undefined) throw damaged('it has no MAC: somebody who does not hold the keyring wrote it');
  if (macKeyId !== own)
    throw new CodedError(
      'misconfigured',
      `its MAC is under the key ${macKeyId}, and that of this log is ${own}: it is of another log`,
    );
  if (!authenticity.holds('segment', signed.subarray(0, -macBytes), signed.subarray(-macBytes)))
    throw damaged('it does not have its MAC: somebody who does not hold the keyring wrote it');
}

function checkBlocks({ blocks, firstSlot, lastSlot }: SegmentHeader, size: number): void {
  let [slot, at] = [firstSlot, 0];
  for (const [i, one] of blocks.entries()) {
    if (one.at !== at || (i === 0 ? one.slot !== slot : one.slot <= slot))
      throw damaged('the blocks in its header do not follow each other');
    slot = one.slot;
    at += one.bytes;
  }
  if (slot > lastSlot) throw damaged('the blocks in its header do not follow each other');
  if (at !== size) throw damaged(at > size ? 'it is cut off' : 'something follows its end');
}

/**
 * The slots of one block.
 * @param stored its bytes, as its entry in the header places them.
 * @throws CodedError `damaged`
 */
export async function readBlock(
  { blocks, lastSlot }: Pick<SegmentHeader, 'blocks' | 'lastSlot'>,
  index: number,
  stored: Uint8Array,
): Promise<StoredSlot[]> {
  const entry = blocks[index];
  if (entry === undefined) throw new RangeError(`a segment has no block ${index}`);
  if (stored.length !== entry.bytes || hash('sha256', stored, 'hex') !== entry.digest)
    throw damaged(`its block of slot ${entry.slot} does not have its digest`);
  const bytes = await inflated(stored);
  const end = blocks[index + 1]?.slot ?? lastSlot + 1;
  const slots: StoredSlot[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = at + 4 <= bytes.length ? bytes.readUInt32BE(at) : -1;
    if (length < hashBytes || at + 4 + length > bytes.length)
      throw damaged(`its block of slot ${entry.slot} is not whole`);
    slots.push({ slot: entry.slot + slots.length, batch: bytes.subarray(at + 4, at + 4 + length) });
    at += 4 + length;
  }
  if (slots.length !== end - entry.slot)
    throw damaged(`its block of slot ${entry.slot} does not have the slots that its header says`);
  return slots;
}

async function inflated(stored: Uint8Array): Promise<Buffer> {
  try {
    return await decompress(stored, { maxOutputLength: longestBlock });
  } catch (cause) {
    throw damaged('a block of it cannot be decompressed', cause);
  }
}

/** The block that has the slot. */
export const blockOf = ({ blocks }: Pick<SegmentHeader, 'blocks'>, slot: number): number =>
  blocks.findLastIndex((one) => one.slot <= slot);
