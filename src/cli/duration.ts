import { CodedError } from '../base/errors.ts';
import {
  type Bounds,
  instantOf,
  longestMs,
  parseCount,
  parseInstant,
  readDuration,
} from '../base/quantities.ts';

export { formatGoDuration } from '../base/go-duration.ts';

/** Longer than any lifetime that can be requested; the auth server decides what a command allows. */
const ttl: Bounds = { min: 1_000, max: longestMs };

/**
 * A duration flag in Go's form, in whole seconds.
 * @throws CodedError `bad_request` naming the flag.
 */
export function parseTtl(text: string, flag: string): number {
  const read = readDuration(text, ttl);
  if (typeof read === 'number') return Math.floor(read / 1000);
  throw new CodedError('bad_request', `${flag}: ${read.fault}`);
}

/**
 * A moment given as RFC 3339, or as a duration before `now`.
 * @throws CodedError `bad_request` naming the flag.
 */
export function parseMoment(text: string, now: string, flag: string): string {
  const given = parseInstant(text);
  if (given !== undefined) return given;
  const ago = readDuration(text, { min: 0, max: longestMs });
  if (typeof ago === 'number') return instantOf(Date.parse(now) - ago) ?? refuseMoment(text, flag);
  if (/^\d+(\.\d+)?[a-z]/.test(text)) throw new CodedError('bad_request', `${flag}: ${ago.fault}`);
  return refuseMoment(text, flag);
}

const refuseMoment = (text: string, flag: string): never => {
  throw new CodedError(
    'bad_request',
    `${flag}: expected a time like 2026-01-31T08:00:00Z or a duration like 2h, got "${text.slice(0, 64)}"`,
  );
};

/**
 * A whole number.
 * @throws CodedError `bad_request` naming the flag.
 */
export function parseNumber(text: string, bounds: Bounds, flag: string): number {
  const value = parseCount(text, bounds);
  if (value !== undefined) return value;
  throw new CodedError(
    'bad_request',
    `${flag}: expected a number from ${bounds.min} to ${bounds.max}, got "${text.slice(0, 64)}"`,
  );
}
