import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import { CodedError, isCoded } from '../../src/base/errors.ts';
import type { Partition } from '../../src/log/event.ts';

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

/** Names of attributes are paid for: they are short. */
export const attributes = {
  partition: 'p',
  sort: 's',
  value: 'b',
  /** Of a slot: own hash of its batch. Those of the release before have none. */
  hash: 'h',
  /** Of a slot: random bytes, by which who put it tells its item from one that was put again. */
  put: 'u',
  /** Of each piece of a blob: SHA-256 of the whole. Those of the release before have none. */
  content: 'c',
  /** Of a blob's first piece: it was destroyed. */
  tombstone: 'x',
} as const;

export type ItemKey = Record<string, { S: string }>;

export const itemKey = (partition: string, sort: string): ItemKey => ({
  [attributes.partition]: { S: partition },
  [attributes.sort]: { S: sort },
});

/** One hash key takes 1,000 write units a second: audit, which grows fastest, is spread over several by its slot. */
const stripes: Readonly<Record<Partition, number>> = { state: 1, presence: 1, audit: 4 };

export const stripesOf = (partition: Partition): readonly string[] =>
  stripes[partition] === 1
    ? [`log/${partition}`]
    : Array.from({ length: stripes[partition] }, (_, i) => `log/${partition}-${i}`);

/** Where a slot lies. */
export const stripeOf = (partition: Partition, slot: number): string =>
  stripesOf(partition)[slot % stripes[partition]] ?? '';

export const sortOfSlot = (slot: number): string => String(slot).padStart(20, '0');

export const slotKey = (partition: Partition, slot: number): ItemKey =>
  itemKey(stripeOf(partition, slot), sortOfSlot(slot));

const form = { plain: 0, deflated: 1 } as const;

/** One byte that says how, then the bytes; compressed when that makes them smaller. */
export async function pack(bytes: Uint8Array): Promise<Uint8Array> {
  const small = await deflate(bytes, { level: 3 });
  const smaller = small.length < bytes.length;
  return Buffer.concat([Buffer.of(smaller ? form.deflated : form.plain), smaller ? small : bytes]);
}

/** @throws CodedError `damaged` for what `pack` did not make. */
export async function unpack(stored: Uint8Array | undefined): Promise<Uint8Array> {
  const bytes = stored?.subarray(1);
  if (stored?.[0] === form.plain && bytes !== undefined) return bytes;
  if (stored?.[0] === form.deflated && bytes !== undefined)
    try {
      return await inflate(bytes);
    } catch (e) {
      throw new CodedError('damaged', 'an item of the table does not unpack', { cause: e });
    }
  throw new CodedError('damaged', 'an item of the table has a form that is not known');
}

/** What does not unpack, as it lies. */
export async function unpackOrRaw(stored: Uint8Array): Promise<Uint8Array> {
  try {
    return await unpack(stored);
  } catch (e) {
    if (!isCoded(e, 'damaged')) throw e;
    return stored;
  }
}
