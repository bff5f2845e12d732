import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { CodedError, type ErrorCode, errorCodes, isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { WebEnv } from './web-env.ts';

/** Refusals whose words are meant for whoever asked. Others may name machines of the cluster: those are for the log. */
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

/** Status and text for whatever was thrown. What is not a coded error is a bug: logged, and told without detail. */
export function publicError(c: Context<WebEnv>, e: unknown, sink: LogSink): PublicError {
  const requestId = c.get('requestId');
  if (!isCoded(e)) {
    if (c.req.raw.signal.aborted) sink.debug('web: a client left', { requestId, reason: messageOf(e) });
    else sink.error('web: bug', { requestId, reason: messageOf(e), stack: (e as Error).stack });
    return { status: 500, message: `internal error, request ${requestId}` };
  }
  const status = errorCodes[e.code].http;
  if (forTheCaller.has(e.code)) return { status, message: e.message };
  sink.warn('web: cannot serve a request', { requestId, code: e.code, reason: e.message });
  return {
    status,
    message:
      // A proxy that has used up its own quota is nobody's business who comes to it.
      status === 503 || e.code === 'quota'
        ? `the cluster cannot answer now, try again in a moment (request ${requestId})`
        : `internal error, request ${requestId}`,
  };
}

/** `{"message": …}`, as clients of 4.4 read it. */
export function jsonError(c: Context<WebEnv>, e: unknown, sink: LogSink): Response {
  const { status, message } = publicError(c, e, sink);
  return c.json({ message }, status);
}

export const badRequest = (message: string): CodedError => new CodedError('bad_request', message);
