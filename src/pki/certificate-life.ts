import type { Instant } from '../base/time.ts';

/** Clocks of two machines may differ by so much: certificates begin to hold this long before they were made. */
export const backDateSeconds = 60n;

/** Whole seconds since 1970, as SSH certificates count. */
export const secondsOf = (at: Instant): bigint => BigInt(Math.floor(Date.parse(at) / 1000));
