import type { Observable } from 'rxjs';
import type { Followable } from '../log/event-log.ts';
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
}

export interface View<State> {
  state(): State;
  /** Everything up to this position is in `state()`. */
  position(): Position;
  /** The state now, then every later one. Errors when the view fails, completes when it is closed. */
  readonly changes: Observable<State>;
  /**
   * Resolves once the view includes `position`: read your own writes. Rejects when it never will: CodedError
   * `unavailable` when the view is closed or its log is, else what made the view fail.
   */
  reached(position: Position): Promise<void>;
  /** Why the view stands still for good; undefined while it follows. Its state is served as it was. */
  failure(): Error | undefined;
  close(): void;
}

export type OpenView = <State>(projection: Projection<State>, log: Followable) => Promise<View<State>>;
