/**
 * Milliseconds. Separate from `time.ts`, so that code that only needs durations does not load the schema
 * library.
 */
export const second = 1_000;
export const minute = 60 * second;
export const hour = 60 * minute;
