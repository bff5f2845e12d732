import { createCipheriv, createDecipheriv, hash } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { CodedError } from '../base/errors.ts';

/*
 * A chunk of a recording, big-endian:
 *
 *     "TRC1" | u8 flags | 3 zeros | 16 session id | u32 number | u64 milliseconds since 1970, by the clock of
 *     who records | u64 milliseconds since the session began | u64 bytes of output before it | u32 bytes of
 *     output in it | u32 length of the body | 32 hash of the chunk before it, zeros in the first | body
 *
 * Flag 1: it is the last. The body is zstd of frames (`frame.ts`), sealed with AES-256-GCM under the key of
 * the session; the nonce is the number, and what precedes the body is bound to it. The hash of a chunk is
 * SHA-256 of all of it: whoever has no key can check the chain, and whoever has the key cannot change it
 * without another head.
 */

const magic = Buffer.from('TRC1');
export const chunkHeadBytes = 92;
const tagBytes = 16;
const lastFlag = 1;
/** Of frames in one chunk, before compression: one frame may exceed the size at which chunks are cut. */
export const longestFrames = 1024 * 1024;
/** Of one chunk; compression makes incompressible bytes a little longer. */
export const longestChunk = chunkHeadBytes + longestFrames + 64 * 1024;
const noHash = Buffer.alloc(32);

/** What a chunk says without its key. */
export interface ChunkHead {
  readonly sid: string;
  readonly number: number;
  readonly isLast: boolean;
  /** By the clock of who records. */
  readonly wallMs: number;
  /** Of its first frame, since the session began. */
  readonly startMs: number;
  /** Output in the chunks before it. */
  readonly outputBefore: number;
  readonly outputBytes: number;
  /** Of the chunk before it; zeros in the first. */
  readonly before: Buffer;
}

/** A chunk as it lies there. */
export interface Chunk {
  readonly head: ChunkHead;
  readonly bytes: Buffer;
  readonly hash: Buffer;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Ids of sessions that can be recorded. */
export const isSessionId = (text: string): boolean => uuid.test(text);

const idBytes = (sid: string): Buffer => Buffer.from(sid.replaceAll('-', ''), 'hex');
const idText = (bytes: Buffer): string =>
  bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');

const nonceOf = (number: number): Buffer => {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(number, 8);
  return nonce;
};

function headBytes(head: ChunkHead, bodyBytes: number): Buffer {
  const bytes = Buffer.alloc(chunkHeadBytes);
  magic.copy(bytes, 0);
  bytes.writeUInt8(head.isLast ? lastFlag : 0, 4);
  idBytes(head.sid).copy(bytes, 8);
  bytes.writeUInt32BE(head.number, 24);
  bytes.writeBigUInt64BE(BigInt(head.wallMs), 28);
  bytes.writeBigUInt64BE(BigInt(head.startMs), 36);
  bytes.writeBigUInt64BE(BigInt(head.outputBefore), 44);
  bytes.writeUInt32BE(head.outputBytes, 52);
  bytes.writeUInt32BE(bodyBytes, 56);
  head.before.copy(bytes, 60);
  return bytes;
}

const sha256 = (bytes: Uint8Array): Buffer => hash('sha256', bytes, 'buffer');

/** @param frames encoded, at most `longestFrames`. @param key 32 bytes, of this session alone. */
export function sealChunk(head: ChunkHead, frames: Uint8Array, key: Uint8Array): Chunk {
  const packed = zstdCompressSync(frames, { params: { [constants.ZSTD_c_compressionLevel]: 1 } });
  const clear = headBytes(head, packed.length + tagBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(head.number)).setAAD(clear);
  const bytes = Buffer.concat([clear, cipher.update(packed), cipher.final(), cipher.getAuthTag()]);
  return { head, bytes, hash: sha256(bytes) };
}

/**
 * The frames of a chunk, encoded.
 * @throws CodedError `damaged` when it was changed, belongs to another session, or the key is another one.
 */
export function openChunk({ head, bytes }: Chunk, key: Uint8Array): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(head.number))
      .setAAD(bytes.subarray(0, chunkHeadBytes))
      .setAuthTag(bytes.subarray(-tagBytes));
    const sealed = bytes.subarray(chunkHeadBytes, -tagBytes);
    const packed = Buffer.concat([decipher.update(sealed), decipher.final()]);
    return zstdDecompressSync(packed, { maxOutputLength: longestFrames });
  } catch (cause) {
    throw new CodedError('damaged', `chunk ${head.number} of ${head.sid} does not open`, { cause });
  }
}

/** Bytes that begin with a chunk, read as far as they go. */
export type Found =
  | { readonly status: 'chunk'; readonly chunk: Chunk }
  /** What is there is the beginning of one: `bytes` are needed in all. */
  | { readonly status: 'cut short'; readonly bytes: number }
  | { readonly status: 'damaged'; readonly why: string };

/** Reads one chunk at the beginning of the bytes. It is a slice of them. */
export function readChunk(bytes: Buffer): Found {
  if (!magic.subarray(0, Math.min(4, bytes.length)).equals(bytes.subarray(0, 4)))
    return { status: 'damaged', why: 'no chunk of a recording begins here' };
  if (bytes.length < chunkHeadBytes) return { status: 'cut short', bytes: chunkHeadBytes };
  const bodyBytes = bytes.readUInt32BE(56);
  const end = chunkHeadBytes + bodyBytes;
  if (bodyBytes < tagBytes || end > longestChunk)
    return { status: 'damaged', why: `a chunk of ${end} bytes cannot be` };
  const numbers = [28, 36, 44].map((at) => Number(bytes.readBigUInt64BE(at)));
  const [wallMs = 0, startMs = 0, outputBefore = 0] = numbers;
  const flags = bytes.readUInt8(4);
  if (!numbers.every(Number.isSafeInteger) || flags > lastFlag || bytes.readUIntBE(5, 3) !== 0)
    return { status: 'damaged', why: 'the head of a chunk has values that cannot be' };
  if (bytes.length < end) return { status: 'cut short', bytes: end };
  const whole = bytes.subarray(0, end);
  const head: ChunkHead = {
    sid: idText(bytes.subarray(8, 24)),
    number: bytes.readUInt32BE(24),
    isLast: flags === lastFlag,
    wallMs,
    startMs,
    outputBefore,
    outputBytes: bytes.readUInt32BE(52),
    before: Buffer.from(bytes.subarray(60, 92)),
  };
  return { status: 'chunk', chunk: { head, bytes: whole, hash: sha256(whole) } };
}

/** Where a chain of chunks has come to. */
export interface ChainEnd {
  /** The number of the next chunk. */
  readonly next: number;
  /** Hash of the last one: the head. Zeros before the first. */
  readonly hash: Buffer;
  /** After the last chunk nothing comes. */
  readonly isOver: boolean;
}

export const noChunks: ChainEnd = { next: 0, hash: noHash, isOver: false };

/** Why this chunk does not continue that chain; undefined: it does. */
export function breakOf(sid: string, end: ChainEnd, { head }: Chunk): string | undefined {
  if (head.sid !== sid) return `chunk ${head.number} is of another session, ${head.sid}`;
  if (end.isOver) return `chunk ${head.number} comes after the last one`;
  if (head.number !== end.next) return `chunk ${head.number} comes where ${end.next} is due`;
  return head.before.equals(end.hash)
    ? undefined
    : `chunk ${head.number} does not continue the one before it`;
}

export const after = ({ head, hash: own }: Chunk): ChainEnd => ({
  next: head.number + 1,
  hash: own,
  isOver: head.isLast,
});
