import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import { CodedError } from '../../src/base/errors.ts';
import type { Partition } from '../../src/log/event.ts';

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

/** Names of attributes are paid for: they are short. */
export const attributes = { partition: 'p', sort: 's', value: 'b' } as const;

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
