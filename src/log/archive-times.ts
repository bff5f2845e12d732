import { hour } from '../base/time.ts';

/** How long what is archived stays where. */
export interface ArchiveTimes {
  /** In the store. Milliseconds. */
  readonly keptMs: number;
  /** In the archive, from when it happened; undefined: for ever. */
  readonly retentionMs: number | undefined;
}

/**
 * Nothing is moved before there is this much more than is kept, as a part of what is kept, up to six hours:
 * so that segments are few.
 */
const laterBy = { part: 4, mostMs: 6 * hour };

/** How long something stays at most where it is kept for so long. Milliseconds. */
export const mostKeptMs = (keptMs: number): number =>
  keptMs + Math.min(keptMs / laterBy.part, laterBy.mostMs);
