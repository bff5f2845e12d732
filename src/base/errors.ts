/**
 * Every failure a caller can act on has one code, listed here. The code, not the message, is the contract: it
 * crosses the wire unchanged. `retry`: it may pass by itself. The HTTP status of each is in
 * `api/http-status.ts`.
 */
export const errorCodes = {
  bad_request: { retry: false },
  /** What was presented (password, certificate, token) does not admit the caller. */
  access_denied: { retry: false },
  not_found: { retry: false },
  already_exists: { retry: false },
  /** Someone appended to the stream first: reload and decide again. */
  conflict: { retry: true },
  /** More than a rate or a queue allows now: later it is accepted. */
  limit_exceeded: { retry: true },
  /**
   * One caller has used up what it may take in a time. `retryAfterMs` of the error is when there is more
   * again.
   */
  quota: { retry: true },
  /** Larger than a size rule allows: as it is, it is never accepted. */
  too_large: { retry: false },
  /** Cannot be done now: a store, a server or a key is out of reach, or this version is too old to decide. */
  unavailable: { retry: true },
  /** A commit was sent and its outcome is not known. Only slot drivers throw it; the log settles it. */
  ambiguous: { retry: true },
  /** The reader's position is before what the log still holds: open from the snapshot. */
  cursor_too_old: { retry: false },
  /** So much was written since the reader's position that the snapshot is the shorter way. */
  far_behind: { retry: false },
  /** Stored bytes are not what was written. */
  damaged: { retry: false },
  /** The disk or the store's quota is full. What is stored stays served. */
  no_space: { retry: true },
  /** A configuration file, flag or environment with which the program cannot start. */
  misconfigured: { retry: false },
  /**
   * A bug at the other side, logged there under the request id. Never thrown in the process that has the bug.
   */
  internal: { retry: true },
} as const;

export type ErrorCode = keyof typeof errorCodes;

/**
 * The outcome of a call that failed. `nothing`: it was certainly not carried out, so that another server may
 * be asked for the same; `unknown`: it may have been, or may still be.
 */
export const failedOutcomes = ['nothing', 'unknown'] as const;
export type FailedOutcome = (typeof failedOutcomes)[number];

export interface CodedErrorOptions extends ErrorOptions {
  readonly retryAfterMs?: number | undefined;
  readonly outcome?: FailedOutcome | undefined;
}

/** A failure the caller can act on. Anything else that is thrown is a bug. */
export class CodedError extends Error {
  override readonly name = 'CodedError';
  readonly code: ErrorCode;
  /** Before this many milliseconds have passed it is not worth while to ask again. */
  readonly retryAfterMs: number | undefined;
  /** Undefined where it was not reported: only the code is known. */
  readonly outcome: FailedOutcome | undefined;
  constructor(code: ErrorCode, message: string, options?: CodedErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryAfterMs = options?.retryAfterMs;
    this.outcome = options?.outcome;
  }
}

/** True for a CodedError; with `code`, only for that one. */
export const isCoded = (e: unknown, code?: ErrorCode): e is CodedError =>
  e instanceof CodedError && (code === undefined || e.code === code);

/** The text of any error. */
export const messageOf = (e: unknown): string => (e instanceof Error ? e.message : String(e));

/** Makes a `switch` over a union fail to compile when a member is added. */
export function unreachable(x: never): never {
  throw new Error(`unreachable: ${JSON.stringify(x)}`);
}
