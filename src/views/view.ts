import type { Observable } from 'rxjs';
import type { Position, Recorded } from '../log/event.ts';

/** A read model: a pure fold over one partition. */
export interface Projection<State> {
  /** Names its snapshots. Carries a version (`users.1`): raise it when the shape of the state changes. */
  readonly name: string;
  readonly initial: State;
  /** Pure and total; returns the same object when the event does not concern it. */
  apply(state: State, event: Recorded): State;
  /** To plain JSON and back, for snapshots. */
  encode(state: State): unknown;
  decode(stored: unknown): State;
  /**
   * What snapshots hold under names of this projection's earlier versions, or of whatever else it can be made
   * of: the best first. A release that raises the name lists the one before here.
   */
  readonly earlier?: readonly EarlierState[];
  /**
   * Set where each thing is said again as long as it is true, at least so often. A fold that begins at the
   * oldest event that is kept then knows all that is true now, once so much of the log is kept; what had
   * ended before, it does not know. Only with it may a view of a partition that is trimmed begin without a
   * snapshot.
   */
  readonly saidAgainWithinMs?: number;
}

export interface EarlierState {
  readonly name: string;
  /** Pure: from what that version's `encode` gave to what this version's `decode` takes. */
  upcast(stored: unknown): unknown;
}

export interface View<State> {
  state(): State;
  /** Everything up to this position is in `state()`. */
  position(): Position;
  /** The state now, then every later one. Errors when the view fails, completes when it is closed. */
  readonly changes: Observable<State>;
  /**
   * Resolves once the view includes `position`: read your own writes. Rejects while the view stands still,
   * and when it never will: CodedError `unavailable` when the view is closed or its log is, else what the log
   * or the fold failed with.
   */
  reached(position: Position): Promise<void>;
  /**
   * Why the view stands still; undefined while it follows. Its state is served as it was. What the log failed
   * with is tried again; what an event could not be folded for is for good, and `changes` errors with it.
   */
  failure(): Error | undefined;
  close(): void;
}
