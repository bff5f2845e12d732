import fc from 'fast-check';
import { expect } from 'vitest';
import { type ErrorCode, isCoded } from '../base/errors.ts';
import type { Decider } from '../log/decider.ts';
import type { Fact } from '../log/event.ts';
import { catalogue } from './audit-catalogue.ts';
import type { AuditEvent } from './audit-event.ts';

export interface Outcome<F> {
  then(...facts: F[]): void;
  refused(code: ErrorCode, message?: string): void;
}

/** `given(facts).when(command).then(facts)`, or `.refused(code)`. */
export function scenario<S, C, F extends Fact>(
  decider: Decider<S, C, F>,
): (...given: F[]) => { when(command: C): Outcome<F> } {
  return (...given) => ({
    when: (command) => {
      const before = fold(decider, given);
      const run = (): readonly F[] => decider.decide(before, command);
      return {
        then: (...facts) => {
          expect(run()).toEqual(facts);
        },
        refused: (code, message) => {
          expect(run).toThrow(expect.objectContaining({ name: 'CodedError', code }));
          if (message !== undefined) expect(run).toThrow(message);
        },
      };
    },
  });
}

export const fold = <S, F extends Fact>(decider: Decider<S, never, F>, facts: readonly F[]): S =>
  facts.reduce((state, fact) => decider.evolve(state, fact), decider.initial);

/**
 * Runs any sequence of commands. A command may only make facts or refuse with a CodedError. The facts as
 * stored (plain JSON, without secrets) must be readable and fold to the same state.
 */
export function expectReplays<S, C, F extends Fact>(
  decider: Decider<S, C, F>,
  command: fc.Arbitrary<C>,
): void {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
      let state = decider.initial;
      const stored: string[] = [];
      for (const one of commands) {
        const facts = decideOrRefuse(decider, state, one);
        state = facts.reduce((at, fact) => decider.evolve(at, fact), state);
        stored.push(...facts.map(({ type, data }) => JSON.stringify({ type, data })));
      }
      const replayed = stored.map((text) => decider.fact.parse(JSON.parse(text)));
      expect(fold(decider, replayed)).toEqual(state);
      expect(JSON.parse(JSON.stringify(state))).toEqual(state);
    }),
    { numRuns: 300 },
  );
}

function decideOrRefuse<S, C, F extends Fact>(decider: Decider<S, C, F>, state: S, command: C): readonly F[] {
  try {
    return decider.decide(state, command);
  } catch (e) {
    if (!isCoded(e)) throw e;
    return [];
  }
}

/** The fields that the emitter of an event adds to its body. */
const circumstances: ReadonlySet<string> = new Set([
  ...[
    'uid',
    'time',
    'ei',
    'sid',
    'request_id',
    'actor',
    'namespace',
    'server_id',
    'server_hostname',
    'server_addr',
  ],
  ...['user', 'login', 'proto', 'addr.remote', 'addr.local', 'addr.proxy', 'addr.claimed', 'addr.balancer'],
  ...['received', 'claimed', 'unknown_user', 'cut'],
]);

/** The event belongs to a row of the catalogue, and has exactly the fields of that row, with their types. */
export function expectInCatalogue(event: AuditEvent): void {
  const rows = Object.values(catalogue).filter((row) => row.code === event.code);
  const faults = rows.map((row) => {
    const own = Object.entries(event).filter(
      ([key]) => !['event', 'code'].includes(key) && (key in row.fields.shape || !circumstances.has(key)),
    );
    return row.event === event.event
      ? row.fields.strict().safeParse(Object.fromEntries(own)).error
      : `${row.code} is ${row.event}`;
  });
  if (!faults.includes(undefined))
    expect.fail(`${JSON.stringify(event)} is not in the catalogue: ${faults.map(String).join('; ')}`);
}
