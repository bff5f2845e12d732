import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import { CodedError, isCoded } from '../../src/base/errors.ts';

const deflate = promisify(deflateRaw);
const inflate = promisify(inflateRaw);

const form = { plain: 0, deflated: 1 } as const;

/** One byte that says how, then the bytes; compressed when that makes them smaller. */
export async function pack(bytes: Uint8Array): Promise<Uint8Array> {
  const small = await deflate(bytes, { level: 3 });
  const smaller = small.length < bytes.length;
  return Buffer.concat([Buffer.of(smaller ? form.deflated : form.plain), smaller ? small : bytes]);
}

/** @throws CodedError `damaged` for bytes that `pack` did not make. */
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

/** Bytes that do not unpack are returned unchanged. */
export async function unpackOrRaw(stored: Uint8Array): Promise<Uint8Array> {
  try {
    return await unpack(stored);
  } catch (e) {
    if (!isCoded(e, 'damaged')) throw e;
    return stored;
  }
}
