import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { CodedError, errorCodes, isCoded } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { WebEnv } from './web-env.ts';

/** Status and text for whatever was thrown. What is not a coded error is a bug: logged, and told without detail. */
export function publicError(
  e: unknown,
  sink: LogSink,
  requestId: string,
): { status: ContentfulStatusCode; message: string } {
  if (isCoded(e) && e.code !== 'damaged') return { status: errorCodes[e.code].http, message: e.message };
  sink.error(`web: ${e instanceof Error ? (e.stack ?? e.message) : String(e)}`, { requestId });
  return { status: 500, message: `internal error, request ${requestId}` };
}

/** `{"message": …}`, as clients of 4.4 read it. */
export function jsonError(c: Context<WebEnv>, e: unknown, sink: LogSink): Response {
  const { status, message } = publicError(e, sink, c.get('requestId'));
  return c.json({ message }, status);
}

export const badRequest = (message: string): CodedError => new CodedError('bad_request', message);
