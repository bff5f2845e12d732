import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { ErrorCode } from '../base/errors.ts';

/**
 * The HTTP status for a code, used by auth servers and by the proxy's web. Our clients read the code and not
 * the status; balancers, browsers and `curl` read the status.
 */
export const httpStatusOf: Readonly<Record<ErrorCode, ContentfulStatusCode>> = {
  bad_request: 400,
  access_denied: 403,
  not_found: 404,
  already_exists: 409,
  conflict: 409,
  limit_exceeded: 429,
  quota: 429,
  too_large: 413,
  unavailable: 503,
  ambiguous: 503,
  cursor_too_old: 410,
  far_behind: 410,
  damaged: 500,
  no_space: 507,
  misconfigured: 400,
  internal: 500,
};
