import { CodedError, type ErrorCode, errorCodes } from '../base/errors.ts';
import { printableLine } from '../base/printable.ts';

export const jsonBody = (said: unknown): Buffer => Buffer.from(JSON.stringify(said));

/** What was asked for has answered: by no other way there would be another answer. */
export class FinalRefusal extends CodedError {}

/** Why a stream is refused. */
export const refusalBody = (error: CodedError): Buffer =>
  jsonBody({
    code: error.code,
    message: error.message.slice(0, mostSaid),
    ...(error instanceof FinalRefusal && { final: true }),
  });

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
  const said = jsonIn(body) as { code?: unknown; message?: unknown; final?: unknown } | undefined;
  const code =
    typeof said?.code === 'string' && Object.hasOwn(errorCodes, said.code)
      ? (said.code as ErrorCode)
      : 'unavailable';
  const message =
    typeof said?.message === 'string' ? printableLine(said.message).slice(0, mostSaid) : 'it was refused';
  return said?.final === true ? new FinalRefusal(code, message) : new CodedError(code, message);
}
