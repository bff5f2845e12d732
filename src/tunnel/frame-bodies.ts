import { CodedError, type ErrorCode, errorCodes } from '../base/errors.ts';
import { printableLine } from '../base/printable.ts';

export const jsonBody = (said: unknown): Buffer => Buffer.from(JSON.stringify(said));

/** Why a stream is refused. */
export const refusalBody = ({ code, message }: CodedError): Buffer =>
  jsonBody({ code, message: message.slice(0, mostSaid) });

/** In characters; a body of a frame holds it whatever they are. */
const mostSaid = 1000;

/** Undefined for what is no JSON: whoever reads it refuses it. */
export function jsonIn(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

/** Total: nobody vouches for the form of what the other end sends. */
export function refusalOf(body: Buffer): CodedError {
  const said = jsonIn(body) as { code?: unknown; message?: unknown } | undefined;
  const code =
    typeof said?.code === 'string' && Object.hasOwn(errorCodes, said.code)
      ? (said.code as ErrorCode)
      : 'unavailable';
  const message =
    typeof said?.message === 'string' ? printableLine(said.message).slice(0, mostSaid) : 'it was refused';
  return new CodedError(code, message);
}
