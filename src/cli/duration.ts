import { CodedError } from '../base/errors.ts';
import { parseDuration } from '../process/config-schema.ts';

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

/** As Go prints a duration: `1h0m0s`, `59m0s`, `12s`. Whole seconds. */
export function formatGoDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (h > 0) return `${h}h${m}m${s}s`;
  return m > 0 ? `${m}m${s}s` : `${s}s`;
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
