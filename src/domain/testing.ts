import { expect } from 'vitest';
import type { ErrorCode } from '../base/errors.ts';
import type { Decider } from '../log/decider.ts';
import type { Fact } from '../log/event.ts';

export interface Outcome<F> {
  then(...facts: F[]): void;
  refused(code: ErrorCode): void;
}

/** `given(facts).when(command).then(facts)`, or `.refused(code)`. */
export function scenario<S, C, F extends Fact>(
  decider: Decider<S, C, F>,
): (...given: F[]) => { when(command: C): Outcome<F> } {
  return (...given) => ({
    when: (command) => {
      const before = given.reduce((state, fact) => decider.evolve(state, fact), decider.initial);
      const run = (): readonly F[] => decider.decide(before, command);
      return {
        then: (...facts) => {
          expect(run()).toEqual(facts);
        },
        refused: (code) => {
          expect(run).toThrow(expect.objectContaining({ name: 'CodedError', code }));
        },
      };
    },
  });
}
