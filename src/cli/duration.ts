import { CodedError } from '../base/errors.ts';
import { parseDuration } from '../process/config-scalars.ts';

export { formatGoDuration } from './go-duration.ts';

/**
 * A duration flag in Go's form, in whole seconds.
 * @throws CodedError `bad_request` naming the flag.
 */
export function parseTtl(text: string, flag: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < 1000)
    throw new CodedError(
      'bad_request',
      `${flag}: invalid duration "${text}", accepted format '10h' or '1m30s'`,
    );
  return Math.floor(ms / 1000);
}

/**
 * A moment given as RFC 3339, or as a duration before `now`.
 * @throws CodedError `bad_request` naming the flag.
 */
export function parseMoment(text: string, now: string, flag: string): string {
  const ago = parseDuration(text);
  if (ago !== undefined) return new Date(Date.parse(now) - ago).toISOString();
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at))
    throw new CodedError(
      'bad_request',
      `${flag}: expected a time like 2026-01-31T08:00:00Z or a duration like 2h, got "${text}"`,
    );
  return new Date(at).toISOString();
}
