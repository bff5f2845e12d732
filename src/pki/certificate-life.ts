import { clockToleranceMs } from '../base/clock-tolerance.ts';
import { second } from '../base/duration.ts';
import type { Instant } from '../base/time.ts';

/** `clockToleranceMs`, as SSH certificates count. */
export const clockToleranceSeconds = BigInt(clockToleranceMs / second);

/** Whole seconds since 1970, as SSH certificates count. */
export const secondsOf = (at: Instant): bigint => BigInt(Math.floor(Date.parse(at) / 1000));
