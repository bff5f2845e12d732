import { type Automaton, automatonOf } from './pattern-automaton.ts';
import { PatternSet } from './pattern-set.ts';
import { parsePattern } from './pattern-syntax.ts';

/**
 * Compiles a pattern that must match the whole of a text. It never backtracks, so no pattern can make
 * matching slow.
 * @throws CodedError `bad_request` for a pattern that cannot be read or is too large.
 */
export function compilePattern(text: string): (value: string) => boolean {
  const pattern = new PatternSet([patternAutomaton(text)]);
  return (value) => pattern.matching(value).length > 0;
}

/**
 * For a `PatternSet`.
 * @throws CodedError as `compilePattern`
 */
export const patternAutomaton = (text: string): Automaton =>
  automatonOf(parsePattern(text), { groups: 'left_out' });
