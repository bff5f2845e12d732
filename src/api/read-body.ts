import type { Context } from 'hono';
import { CodedError } from '../base/errors.ts';

/**
 * The body of a request, with a declared length or in chunks; empty when there is none. Never more than
 * `maxBytes` are taken. (Hono's own limit wraps a body without a length in a second request, which does not
 * work with the server's requests.)
 * @throws CodedError `too_large`, or `bad_request` when the client broke off or its chunks are invalid.
 */
export async function readBody(c: Context, maxBytes: number): Promise<string> {
  const tooLarge = (): CodedError => new CodedError('too_large', 'the request is too large');
  if (Number(c.req.header('content-length') ?? 0) > maxBytes) throw tooLarge();
  const pieces: Uint8Array[] = [];
  let size = 0;
  try {
    // A request that cannot have a body (GET, HEAD) has none.
    for await (const piece of (c.req.raw.body ?? []) as AsyncIterable<Uint8Array>) {
      size += piece.length;
      if (size > maxBytes) throw tooLarge();
      pieces.push(piece);
    }
  } catch (e) {
    if (e instanceof CodedError) throw e;
    throw new CodedError('bad_request', 'the body of the request did not come to its end', { cause: e });
  }
  return Buffer.concat(pieces).toString('utf8');
}
