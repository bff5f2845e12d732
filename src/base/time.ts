import { z } from 'zod';

export { hour, minute, second } from './duration.ts';

/**
 * A moment, as `Date.toISOString()` writes it: UTC, always milliseconds.
 * One fixed shape, so that comparing strings compares moments:
 * `…00.500Z` sorts before `…00Z`, though it is later.
 * Source: RFC 3339.
 */
export const instant = z.iso.datetime({ precision: 3 });
export type Instant = z.infer<typeof instant>;

/** Before the first event of any log. */
export const earliest: Instant = '0000-01-01T00:00:00.000Z';

/** The instant `ms` milliseconds after `at`. */
export const plusMs = (at: Instant, ms: number): Instant => new Date(Date.parse(at) + ms).toISOString();

/** Milliseconds from `from` to `to`; negative when `to` is earlier. */
export const msBetween = (from: Instant, to: Instant): number => Date.parse(to) - Date.parse(from);
