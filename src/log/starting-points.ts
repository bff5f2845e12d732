import type { Decider } from './decider.ts';
import type { EventLog } from './event-log.ts';
import type { Fact, StreamName } from './event.ts';
import type { FoldedStream } from './fold-cache.ts';

/** A decider of any commands and facts: enough to say whose state is meant. */
export type AnyDecider<S> = Pick<Decider<S, never, Fact>, 'initial'>;

/**
 * The state of a stream as that decider folds it, with the revision that it is of, from whoever folds the
 * partition anyway; undefined where that is not known.
 */
export type StartingPoint = <S>(decider: AnyDecider<S>, stream: StreamName) => FoldedStream<S> | undefined;

const points = new WeakMap<EventLog, StartingPoint>();

/**
 * Decisions on this log begin there from now on, and read only what follows. Otherwise the first decision
 * about a stream, in a process, reads all that ever happened to it.
 */
export function startDecisionsAt(log: EventLog, point: StartingPoint): void {
  points.set(log, point);
}

export const startingPoint = (log: EventLog): StartingPoint | undefined => points.get(log);
