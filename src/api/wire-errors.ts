import { z } from 'zod';
import { hour } from '../base/duration.ts';
import {
  CodedError,
  type ErrorCode,
  errorCodes,
  failedOutcomes,
  type FailedOutcome,
} from '../base/errors.ts';

/** Body of every response that is not a success. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  /** When it is worth while to ask again. */
  readonly retryAfterMs?: number | undefined;
  /** The outcome of the call, where the server knows it. */
  readonly outcome?: FailedOutcome | undefined;
}

/** A server cannot make anybody wait longer than this. */
const longestWaitMs = hour;

export const wireError = z.object({
  code: z.string(),
  message: z.string(),
  retryAfterMs: z.number().nonnegative().optional().catch(undefined),
  outcome: z.enum(failedOutcomes).optional().catch(undefined),
});

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(errorCodes, code);

/** The cause of an error from a server: somebody was there, and replied. */
export class Answered extends Error {
  override readonly name = 'Answered';
}

/** True for an error that a server sent; false for one because no server was reached. */
export const isAnswer = (e: unknown): boolean => e instanceof Error && e.cause instanceof Answered;

/**
 * The error a server sent. A code this version does not know becomes `unavailable`: the caller may try again.
 */
export function fromWire(
  code: string,
  message: string,
  { retryAfterMs, outcome }: Pick<WireError, 'retryAfterMs' | 'outcome'> = {},
): CodedError {
  const options = {
    cause: new Answered(code),
    outcome,
    retryAfterMs: retryAfterMs === undefined ? undefined : Math.min(retryAfterMs, longestWaitMs),
  };
  return isErrorCode(code)
    ? new CodedError(code, message, options)
    : new CodedError('unavailable', `${message} (${code}, which this version does not know)`, options);
}

/** The error in the body of a response; a response that is not ours (a stray web server) is `unavailable`. */
export function errorOfAnswer(status: number, body: string): CodedError {
  const parsed = wireError.safeParse(jsonOrUndefined(body));
  return parsed.success
    ? fromWire(parsed.data.code, parsed.data.message, parsed.data)
    : new CodedError('unavailable', `the server answered ${status} and not in our form`);
}

export function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `events.3.code: Too small; username: Required`: every field that is wrong, by its path. */
export const issuesOf = (error: z.ZodError): string =>
  error.issues
    .slice(0, 8)
    .map((issue) => `${issue.path.join('.') || 'input'}: ${issue.message}`)
    .join('; ');
