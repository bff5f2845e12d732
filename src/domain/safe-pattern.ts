import { automatonOf, type State, takes } from './pattern-automaton.ts';
import { parsePattern } from './pattern-syntax.ts';

/**
 * Compiles a pattern that must match the whole of a text. It never backtracks, so no pattern can make
 * matching slow. Source: R. Cox, "Regular Expression Matching Can Be Simple And Fast".
 * @throws CodedError `bad_request` for a pattern that cannot be read or is too large.
 */
export function compilePattern(text: string): (value: string) => boolean {
  const { states, start } = automatonOf(parsePattern(text), { groups: 'left_out' });
  return (value) => run(states, start, value);
}

function run(states: readonly State[], start: number, value: string): boolean {
  let current = closure(states, [start]);
  for (const char of value) {
    if (current.length === 0) return false;
    const reached: number[] = [];
    for (const state of current) if (state.kind === 'set' && takes(state.set, char)) reached.push(state.next);
    current = closure(states, reached);
  }
  return current.some(({ kind }) => kind === 'end');
}

/** The states that can be reached without taking a character, each once. */
function closure(states: readonly State[], from: readonly number[]): State[] {
  const seen = new Set(from);
  const found: State[] = [];
  for (const index of seen) {
    const state = states[index];
    if (!state) continue;
    found.push(state);
    if (state.kind === 'split') seen.add(state.next).add(state.other);
  }
  return found;
}
