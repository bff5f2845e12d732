import { automatonOf, type State, takes } from './pattern-automaton.ts';
import { parsePattern } from './pattern-syntax.ts';

/**
 * The text of each group in a value that matches whole, group 0 being the value; '' for one that took no
 * part. Undefined: no match.
 */
export type Capture = (value: string) => readonly string[] | undefined;

/** Where groups began and ended on the way of one thread, the latest first. */
interface Notes {
  readonly group: number;
  readonly edge: 'start' | 'end';
  readonly at: number;
  readonly before: Notes | undefined;
}

/** A state that was reached, and what was noted on the way. Earlier ones in a list are preferred. */
interface Thread {
  readonly index: number;
  readonly notes: Notes | undefined;
}

/**
 * Compiles a pattern that must match the whole of a text, with its groups. Like `compilePattern` it never
 * backtracks: of several ways to one state only the preferred one is followed. Of several matches it takes
 * the one that RE2 and Perl take. Source: R. Cox, "Regular Expression Matching: the Virtual Machine
 * Approach".
 * @throws CodedError `bad_request` for a pattern that cannot be read or is too large.
 */
export function compileCapture(text: string): { readonly groups: number; readonly capture: Capture } {
  const { states, start } = automatonOf(parsePattern(text), { groups: 'noted' });
  const groups = states.reduce((most, one) => (one.kind === 'save' ? Math.max(most, one.group) : most), 0);
  return { groups, capture: (value) => captured(run(states, start, Array.from(value)), value, groups) };
}

/** The notes of the preferred match; undefined where the text does not match. */
function run(
  states: readonly State[],
  start: number,
  chars: readonly string[],
): { readonly notes: Notes | undefined } | undefined {
  let current = closure(states, [{ index: start, notes: undefined }], 0);
  for (const [i, char] of chars.entries()) {
    const reached: Thread[] = [];
    for (const { index, notes } of current) {
      const state = states[index];
      if (state?.kind === 'set' && takes(state.set, char.codePointAt(0) ?? 0))
        reached.push({ index: state.next, notes });
    }
    if (reached.length === 0) return undefined;
    current = closure(states, reached, i + 1);
  }
  return current.find(({ index }) => states[index]?.kind === 'end');
}

/** The threads that are reached without taking a character, each state once, the preferred first. */
function closure(states: readonly State[], from: readonly Thread[], at: number): Thread[] {
  const seen = new Set<number>();
  const found: Thread[] = [];
  const waiting = from.toReversed();
  for (let thread = waiting.pop(); thread !== undefined; thread = waiting.pop()) {
    const { index, notes } = thread;
    const state = states[index];
    if (!state || seen.has(index)) continue;
    seen.add(index);
    if (state.kind === 'split') waiting.push({ index: state.other, notes }, { index: state.next, notes });
    else if (state.kind === 'save') {
      const { group, edge, next } = state;
      waiting.push({ index: next, notes: { group, edge, at, before: notes } });
    } else found.push(thread);
  }
  return found;
}

function captured(
  match: { readonly notes: Notes | undefined } | undefined,
  value: string,
  groups: number,
): readonly string[] | undefined {
  if (!match) return undefined;
  const chars = Array.from(value);
  const edges = new Map<string, number>();
  for (let note = match.notes; note !== undefined; note = note.before) {
    const key = `${note.group} ${note.edge}`;
    if (!edges.has(key)) edges.set(key, note.at);
  }
  const textOf = (group: number): string =>
    chars.slice(edges.get(`${group} start`) ?? 0, edges.get(`${group} end`) ?? 0).join('');
  return [value, ...Array.from({ length: groups }, (_, i) => textOf(i + 1))];
}
