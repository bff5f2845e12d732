import type { Observable } from 'rxjs';
import type { Position, Recorded } from '../log/event.ts';

/** A read model: a pure fold over one partition. */
export interface Projection<State> {
  /**
   * The name of its snapshots. Includes a version (`users.1`): raise it when the shape of the state changes.
   */
  readonly name: string;
  readonly initial: State;
  /** Pure and total; returns the same object when the event does not concern it. */
  apply(state: State, event: Recorded): State;
  /** To plain JSON and back, for snapshots. */
  encode(state: State): unknown;
  decode(stored: unknown): State;
  /**
   * Other snapshots from which this state can be made, of earlier versions or other projections, the best
   * first. A release that raises the name lists the previous one here.
   */
  readonly earlier?: readonly EarlierState[];
  /**
   * Set where everything is announced again as long as it is true, at least this often. A fold that begins at
   * the oldest event that is kept then knows everything that is true now, once this much of the log is kept;
   * it does not know what had ended before. Only with it may a view of a trimmed partition begin without a
   * snapshot.
   */
  readonly saidAgainWithinMs?: number;
}

export interface EarlierState {
  readonly name: string;
  /** Pure: from what that version's `encode` returned to what this version's `decode` takes. */
  upcast(stored: unknown): unknown;
}

export interface View<State> {
  state(): State;
  /** Everything up to this position is in `state()`. */
  position(): Position;
  /** The state now, then every later one. Errors when the view fails, completes when it is closed. */
  readonly changes: Observable<State>;
  /**
   * Resolves once the view includes `position`: read your own writes. Rejects while the view has stopped, and
   * when it never will include it: CodedError `unavailable` when the view is closed or its log is, else the
   * error of the log or the fold.
   */
  reached(position: Position): Promise<void>;
  /**
   * Why the view has stopped; undefined while it follows. Its state is served as it was. After a failure of
   * the log it tries again; an event that cannot be folded ends it for good, and `changes` errors with it.
   */
  failure(): Error | undefined;
  close(): void;
}
