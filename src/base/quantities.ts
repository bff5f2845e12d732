import { hour, minute, second } from './duration.ts';

/*
 * Parsers of what people type: durations, moments, counts. One for each, so that each has limits: a moment
 * after the year 9999 is invalid.
 */

/** Smallest and largest, both allowed. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: second, m: minute, h: hour };

/** The longest duration that is accepted anywhere: a hundred years, as hours. */
export const longestMs = 876_000 * hour;
/** The longest time that a program waits or an interval in its configuration: a year, as hours. */
export const longestWaitMs = 8_760 * hour;

/**
 * Go's form of a duration: `1h30m`, `10s`, `500ms`. Milliseconds, fractions of one cut off; undefined for any
 * other text. A duration longer than `longestMs` is returned as infinity: the caller names the limit in its
 * error.
 */
export function parseDuration(text: string): number | undefined {
  if (text.length > 64 || !/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g))
    total += Number(amount) * (unitMs[unit ?? ''] ?? Number.NaN);
  return total > longestMs ? Number.POSITIVE_INFINITY : Math.floor(total);
}

/** A duration in bounds of milliseconds, or what is wrong with the text. */
export function readDuration(text: string, { min, max }: Bounds): number | { readonly fault: string } {
  const ms = parseDuration(text);
  if (ms === undefined)
    return {
      fault: /^\d+$/.test(text)
        ? `time: missing unit in duration "${shown(text)}"`
        : `invalid duration "${shown(text)}", accepted format '10h' or '1m30s'`,
    };
  if (ms >= min && ms <= max) return ms;
  return {
    fault: `"${shown(text)}" is too ${ms < min ? 'short' : 'long'}: from ${durationText(min)} to ${durationText(max)}`,
  };
}

/** The largest unit in which it is whole. */
function durationText(ms: number): string {
  const [unit, size] = Object.entries(unitMs)
    .reverse()
    .find(([, one]) => ms % one === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}

/** A whole number in bounds, written in decimal digits; undefined for any other text. */
export function parseCount(text: string, { min, max }: Bounds): number | undefined {
  if (!/^\d{1,15}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}

const momentShape =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)?)?$/;

/**
 * A moment in RFC 3339, also without seconds or as a date alone (UTC); without a zone in that of this
 * machine. As `Date.toISOString()` writes it; undefined for any other text, and for days and hours that do
 * not exist.
 */
export function parseInstant(text: string): string | undefined {
  const parts = momentShape.exec(text);
  if (parts === null) return undefined;
  const [year, month, day, hours, minutes, seconds] = parts
    .slice(1, 7)
    .map((part: string | undefined) => Number(part ?? 0)) as [number, number, number, number, number, number];
  if (!isDay(year, month, day) || hours > 23 || minutes > 59 || seconds > 59) return undefined;
  return instantOf(Date.parse(text.toUpperCase().replace(' ', 'T')));
}

/** Other parsers take the 31st of February for the 3rd of March. */
function isDay(year: number, month: number, day: number): boolean {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

/** Undefined outside the years 0 to 9999: elsewhere a moment has another form. */
export function instantOf(ms: number): string | undefined {
  if (!(ms >= yearZero && ms <= lastMoment)) return undefined;
  return new Date(ms).toISOString();
}

const yearZero = Date.parse('0000-01-01T00:00:00.000Z');
const lastMoment = Date.parse('9999-12-31T23:59:59.999Z');

/** The typed text, cut to fit a line. */
const shown = (text: string): string => (text.length > 64 ? `${text.slice(0, 64)}...` : text);
