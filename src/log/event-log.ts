import type { Observable } from 'rxjs';
import type { Instant } from '../base/time.ts';
import type { Cause, Fact, Followed, Position, Recorded, Revision, StreamName } from './event.ts';

export interface Write {
  readonly stream: StreamName;
  /** The revision the stream must have now; 0 when it must not exist. */
  readonly expected: Revision;
  readonly facts: readonly Fact[];
}

/** What a view needs. Also implemented over the network, by `api/remote-log.ts`. */
export interface Followable {
  /**
   * Everything after `after`: first history, then live; in order, each event once.
   * Errors with CodedError `cursor_too_old` when events after `after` were trimmed: start from `snapshot`.
   */
  follow(after: Position): Observable<Followed>;
  /** The newest stored state of the projection `name`, if one was kept. */
  snapshot(name: string): Promise<ViewSnapshot | undefined>;
}

/** State of one projection after all events up to and including `position`. Plain JSON. */
export interface ViewSnapshot {
  readonly position: Position;
  readonly state: unknown;
}

/** One partition of the append-only log. */
export interface EventLog extends Followable {
  /**
   * Appends all the facts of all the writes, or none. Durable when it resolves.
   * Answers the position of the last one.
   * @throws CodedError `conflict` if a stream is not at `expected`; `limit_exceeded` for a fact above 64 KB;
   * `no_space`, `unavailable`, `damaged` when the store cannot take it: then nothing was appended.
   */
  append(writes: readonly Write[], cause: Cause): Promise<Position>;

  /** One stream after revision `after` (default 0), oldest first, as of the newest commit. */
  read(stream: StreamName, after?: Revision): AsyncIterable<Recorded>;

  /** Events after `after`, oldest first, up to the newest commit; then ends. */
  history(after: Position): AsyncIterable<Recorded>;

  /** Position of the last event before `at`: where to begin to read what happened since. */
  positionBefore(at: Instant): Promise<Position>;

  /** Position of the newest commit in the store, also by other processes. */
  head(): Promise<Position>;

  /**
   * Opens one sealed secret.
   * @throws CodedError `not_found` when its data key was destroyed, `damaged` when it does not open.
   */
  unseal(event: Recorded, name: string): Promise<Uint8Array>;

  /** Destroys the data keys of an event's secrets: nobody can open them again, in any copy of the log. */
  destroySecrets(event: Recorded): Promise<void>;
}

/** The whole log: one store, three partitions. */
export interface ClusterLog {
  readonly state: EventLog;
  readonly presence: EventLog;
  readonly audit: EventLog;
  close(): Promise<void>;
}
