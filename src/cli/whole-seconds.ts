import type { Instant } from '../base/time.ts';

/** A moment as tables show it: `2026-01-31T08:00:00Z`. */
export const wholeSeconds = (at: Instant): string => at.replace(/\.\d+Z$/, 'Z');
