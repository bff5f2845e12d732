import type { Instant } from '../../base/time.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { StreamName } from '../../log/event.ts';
import type { Projection } from '../../views/view.ts';
import type { PastStates } from '../past/past-states.ts';

/** How resources of one kind are read from an earlier part of the log. */
export interface PastKind<V extends keyof PastStates = keyof PastStates> {
  /** The projection that folds them, and its name among the views. */
  readonly view: V;
  readonly projection: Projection<PastStates[V]>;
  /** Everything about one resource is in this stream; undefined where there never was one of that name. */
  stream(name: string, log: Pick<EventLog, 'streamsNamed'>): StreamName | Promise<StreamName | undefined>;
  /** @param at undefined: whatever the time was, so that only events make a difference. */
  find(state: PastStates[V], name: string, at: Instant | undefined): ResourceDocument | undefined;
  /** Whether it exists, but a newer release wrote it so that this one cannot read it. */
  isUnreadable(state: PastStates[V], name: string): boolean;
  /** All of them, in any order. */
  all(state: PastStates[V], at: Instant): readonly ResourceDocument[];
}

/** For the list of kinds: its functions are called with the states of its own view, and no others. */
export const pastKind = <V extends keyof PastStates>(kind: PastKind<V>): PastKind => kind;
