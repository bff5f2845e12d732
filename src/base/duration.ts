/** Milliseconds. Apart from `time.ts`, so that who counts seconds does not load the schema library. */
export const second = 1_000;
export const minute = 60 * second;
export const hour = 60 * minute;
