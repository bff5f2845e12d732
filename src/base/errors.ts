/**
 * Every failure a caller can act on has one code, listed here.
 * The code, not the message, is the contract: it crosses the wire unchanged.
 */
export const errorCodes = {
  bad_request: { http: 400, retry: false },
  /** What was presented (password, certificate, token) does not admit the caller. */
  access_denied: { http: 403, retry: false },
  not_found: { http: 404, retry: false },
  already_exists: { http: 409, retry: false },
  /** Someone appended to the stream first: reload and decide again. */
  conflict: { http: 409, retry: true },
  /** More than a rate or a queue allows now: later it is taken. */
  limit_exceeded: { http: 429, retry: true },
  /** One caller has used up what it may take in a time. `retryAfterMs` of the error says when there is room again. */
  quota: { http: 429, retry: true },
  /** Larger than a size rule allows: as it is, it is never taken. */
  too_large: { http: 413, retry: false },
  /** Cannot be done now: a store, a server or a key is out of reach, or this version is too old to decide. */
  unavailable: { http: 503, retry: true },
  /** A commit was sent and its outcome is not known. Only slot drivers throw it; the log settles it. */
  ambiguous: { http: 503, retry: true },
  /** The reader's position lies before what the log still holds: open from the snapshot. */
  cursor_too_old: { http: 410, retry: false },
  /** Stored bytes are not what was written. */
  damaged: { http: 500, retry: false },
  /** The disk or the store's quota is full. What is stored stays served. */
  no_space: { http: 507, retry: true },
  /** A configuration file, flag or environment that cannot be started with. */
  misconfigured: { http: 400, retry: false },
  /** A bug at the other side, logged there under the request id. Never thrown in the process that has the bug. */
  internal: { http: 500, retry: true },
} as const;

export type ErrorCode = keyof typeof errorCodes;

export interface CodedErrorOptions extends ErrorOptions {
  readonly retryAfterMs?: number | undefined;
}

/** A failure the caller can act on. Anything else that is thrown is a bug. */
export class CodedError extends Error {
  override readonly name = 'CodedError';
  readonly code: ErrorCode;
  /** Sooner than in so many milliseconds it is not worth while to ask again. */
  readonly retryAfterMs: number | undefined;
  constructor(code: ErrorCode, message: string, options?: CodedErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryAfterMs = options?.retryAfterMs;
  }
}

/** True for a CodedError; with `code`, only for that one. */
export const isCoded = (e: unknown, code?: ErrorCode): e is CodedError =>
  e instanceof CodedError && (code === undefined || e.code === code);

/** The text of anything that was thrown. */
export const messageOf = (e: unknown): string => (e instanceof Error ? e.message : String(e));

/** Makes a `switch` over a union fail to compile when a member is added. */
export function unreachable(x: never): never {
  throw new Error(`unreachable: ${JSON.stringify(x)}`);
}
