import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { httpStatusOf } from '../../api/http-status.ts';
import { CodedError, type ErrorCode, isCoded, messageOf } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import type { WebEnv } from './web-env.ts';

/**
 * Refusals whose text is meant for the caller. Others may name machines of the cluster: those are for the
 * log.
 */
const forTheCaller: ReadonlySet<ErrorCode> = new Set([
  'bad_request',
  'access_denied',
  'not_found',
  'already_exists',
  'limit_exceeded',
  'too_large',
]);

export interface PublicError {
  readonly status: ContentfulStatusCode;
  readonly message: string;
}

/**
 * Sets when it is worth while to ask again, where that is known.
 * Source: RFC 9110, 10.2.3.
 */
export function setRetryAfter(c: Context<WebEnv>, e: unknown): void {
  if (isCoded(e) && e.code === 'limit_exceeded' && e.retryAfterMs !== undefined)
    c.header('Retry-After', String(Math.ceil(e.retryAfterMs / 1000)));
}

/**
 * Status and text for anything that was thrown. An error that is not coded is a bug: logged, and reported
 * without detail.
 */
export function publicError(c: Context<WebEnv>, e: unknown, sink: LogSink): PublicError {
  const requestId = c.get('requestId');
  if (!isCoded(e)) {
    if (c.req.raw.signal.aborted)
      sink.debug('a web client left before its answer', { requestId, reason: messageOf(e) });
    else
      sink.error('bug: a web request failed', { requestId, reason: messageOf(e), stack: (e as Error).stack });
    return { status: 500, message: `internal error, request ${requestId}` };
  }
  const status = httpStatusOf[e.code];
  if (forTheCaller.has(e.code)) return { status, message: e.message };
  sink.warn('a web request cannot be served', { requestId, code: e.code, reason: e.message });
  return { status, message: `${inGeneral(e.code)} (request ${requestId})` };
}

/** What anybody may know. The whole reason is in the log, under the id of the request. */
function inGeneral(code: ErrorCode): string {
  // Whether a proxy has used up its own quota does not concern its clients.
  if (httpStatusOf[code] === 503 || code === 'quota')
    return 'the cluster cannot answer now, try again in a moment';
  if (code === 'no_space')
    return "the cluster's store is full, so that nothing can be recorded: tell its administrator, whose log says which disk";
  return 'internal error';
}

/** `{"message": …}`, as clients of 4.4 read it. */
export function jsonError(c: Context<WebEnv>, e: unknown, sink: LogSink): Response {
  const { status, message } = publicError(c, e, sink);
  setRetryAfter(c, e);
  return c.json({ message }, status);
}

export const badRequest = (message: string): CodedError => new CodedError('bad_request', message);
