import { clockToleranceMs } from '../base/clock-tolerance.ts';
import { second } from '../base/duration.ts';
import type { Instant } from '../base/time.ts';

/** `clockToleranceMs` in the units of SSH certificates. */
export const clockToleranceSeconds = BigInt(clockToleranceMs / second);

/** Whole seconds since 1970, the units of SSH certificates. */
export const secondsOf = (at: Instant): bigint => BigInt(Math.floor(Date.parse(at) / 1000));
