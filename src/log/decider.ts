import type { Fact } from './event.ts';

/** Business rules as three pure functions. No clock, no I/O, no randomness. */
export interface Decider<State, Command, F extends Fact> {
  /** Reads a stored fact. Throws on one it does not know: a writer must understand its whole stream. */
  readonly fact: { parse(stored: unknown): F };
  readonly initial: State;
  /**
   * The facts that follow from the command; none if it changes nothing.
   * @throws CodedError when the command is refused.
   */
  decide(state: State, command: Command): readonly F[];
  /** Total: never throws. */
  evolve(state: State, fact: F): State;
}
