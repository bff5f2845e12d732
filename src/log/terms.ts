import type { Position, Recorded } from './event.ts';

/** By what the events of a partition are found, without reading all of it: see `EventLog.partsWith`. */
export interface Terms {
  /**
   * Of their index in the store. A release that finds other terms in an event that may be on a log has
   * another name: what the index does not have of an event, a search for it passes over.
   */
  readonly name: string;
  /** Pure; the same term several times counts once. */
  readonly of: (event: Recorded) => Iterable<string>;
}

/** An event is wanted when it has of each list at least one term. */
export type WantedTerms = readonly (readonly string[])[];

/** Events of a partition in a row. */
export interface Part {
  /** Position of the event before the first of them. */
  readonly after: Position;
  /** Position of the last of them. */
  readonly upTo: Position;
}

/** How far an index goes. */
export interface Indexed {
  readonly upTo: Position;
  /** Whether there are events that could be added at once. */
  readonly isBehind: boolean;
}

/** Parts that follow each other are one. They come in order. */
export function joined(parts: readonly Part[]): readonly Part[] {
  const all: Part[] = [];
  for (const part of parts) {
    const last = all.at(-1);
    if (last?.upTo === part.after) all[all.length - 1] = { after: last.after, upTo: part.upTo };
    else if (part.upTo > part.after) all.push(part);
  }
  return all;
}
