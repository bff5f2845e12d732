import { hash } from 'node:crypto';
import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import { type Partition, partitions } from './event.ts';

/**
 * A log in one file, version 1, big-endian:
 *
 *     magic | entry, entry, …
 *     entry: u8 kind | u32 length of the payload | payload | 32 digest
 *
 * The digest of an entry is SHA-256 over the digest of the entry before (of the magic, for the first), kind,
 * length and payload: a changed, dropped or moved entry is found at its place, and the digest of the last
 * entry is that of the whole archive. First comes a header, last an end; nothing follows it.
 */
export const magic: Buffer = Buffer.from('teleport log archive 1\n');

export const kinds = { header: 1, batch: 2, snapshot: 3, dataKey: 4, end: 5 } as const;
export type EntryKind = (typeof kinds)[keyof typeof kinds];

export const digestBytes = 32;
export const prefixBytes = 5;
/** Snapshots are the largest. Larger payloads are not written, and refused when read. */
export const maxPayloadBytes = 1024 * 1024 * 1024;

export const firstDigest: Buffer = hash('sha256', magic, 'buffer');

export function prefixOf(kind: EntryKind, length: number): Buffer {
  if (length > maxPayloadBytes)
    throw new CodedError('too_large', `an entry of ${length} bytes is above what an archive takes`);
  const prefix = Buffer.alloc(prefixBytes);
  prefix[0] = kind;
  prefix.writeUInt32BE(length, 1);
  return prefix;
}

export const entryDigest = (before: Buffer, prefix: Buffer, payload: Uint8Array): Buffer =>
  hash('sha256', Buffer.concat([before, prefix, payload]), 'buffer');

/** A key and its value: u16 length of the key | key | value. */
export function encodeBlob(key: string, value: Uint8Array): Buffer {
  const name = Buffer.from(key);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(name.length);
  return Buffer.concat([length, name, value]);
}

export function decodeBlob(payload: Buffer): { key: string; value: Buffer } {
  const length = payload.length >= 2 ? payload.readUInt16BE() : Number.POSITIVE_INFINITY;
  if (payload.length < 2 + length) throw new CodedError('damaged', 'a key is cut off');
  return { key: payload.toString('utf8', 2, 2 + length), value: payload.subarray(2 + length) };
}

const natural = z.number().int().nonnegative();

const headerShape = z.strictObject({
  version: z.literal(1),
  exportedAt: z.string(),
  /** Where the log was. */
  from: z.string(),
  /** Whether the wrapped data keys are in it. */
  secrets: z.boolean(),
});
export type ArchiveHeader = z.infer<typeof headerShape>;

const endShape = z.strictObject({
  partitions: z.array(
    z.strictObject({
      partition: z.enum([...partitions] as [Partition, ...Partition[]]),
      firstSlot: natural,
      lastSlot: natural,
      events: natural,
      bytes: natural,
      head: z.string(),
    }),
  ),
  snapshots: natural,
  dataKeys: natural,
});
export type ArchiveEnd = z.infer<typeof endShape>;

export const encodeJson = (value: ArchiveHeader | ArchiveEnd): Buffer => Buffer.from(JSON.stringify(value));
export const decodeHeader = (payload: Buffer): ArchiveHeader => parse(headerShape, payload, 'header');
export const decodeEnd = (payload: Buffer): ArchiveEnd => parse(endShape, payload, 'end');

function parse<T>(shape: z.ZodType<T>, payload: Buffer, what: string): T {
  try {
    return shape.parse(JSON.parse(payload.toString()));
  } catch (cause) {
    throw new CodedError('damaged', `this version does not understand the ${what} of the archive`, { cause });
  }
}
