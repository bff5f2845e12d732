import { CodedError, unreachable } from '../base/errors.ts';
import { type CharacterSet, parsePattern, type Pattern } from './pattern-syntax.ts';

/** One state of the automaton. `next` and `other` are indexes of states. */
type State =
  | { kind: 'set'; set: CharacterSet; next: number }
  | { kind: 'split'; next: number; other: number }
  | { kind: 'end' };

/** Limits the cost of a pattern: time is at most states times characters. */
const maxStates = 2_000;
const maxSteps = 10_000;

/**
 * Compiles a pattern that must match the whole of a text. It never backtracks, so no pattern can make
 * matching slow. Source: R. Cox, "Regular Expression Matching Can Be Simple And Fast".
 * @throws CodedError `bad_request` for a pattern that cannot be read or is too large.
 */
export function compilePattern(text: string): (value: string) => boolean {
  const states: State[] = [{ kind: 'end' }];
  const start = new Builder(states).build(parsePattern(text), 0);
  return (value) => run(states, start, value);
}

/** Builds from the end to the beginning: each part is given the state that follows it. */
class Builder {
  #steps = 0;
  readonly #states: State[];
  constructor(states: State[]) {
    this.#states = states;
  }

  build(pattern: Pattern, next: number): number {
    if (++this.#steps > maxSteps) throw tooLarge();
    switch (pattern.kind) {
      case 'set':
        return this.#add({ kind: 'set', set: pattern.set, next });
      case 'sequence':
        return pattern.parts.reduceRight((following, part) => this.build(part, following), next);
      case 'alternatives':
        return pattern.options
          .map((option) => this.build(option, next))
          .reduceRight((other, option) => this.#add({ kind: 'split', next: option, other }));
      case 'repeat':
        return this.#repeat(pattern, next);
      default:
        return unreachable(pattern);
    }
  }

  #repeat({ part, min, max }: Extract<Pattern, { kind: 'repeat' }>, next: number): number {
    let following = next;
    if (max === Infinity) {
      const loop = this.#add({ kind: 'split', next, other: next });
      this.#states[loop] = { kind: 'split', next: this.build(part, loop), other: next };
      following = loop;
    } else
      for (let i = min; i < max; i++)
        following = this.#add({ kind: 'split', next: this.build(part, following), other: next });
    for (let i = 0; i < min; i++) following = this.build(part, following);
    return following;
  }

  #add(state: State): number {
    if (this.#states.length >= maxStates) throw tooLarge();
    return this.#states.push(state) - 1;
  }
}

const tooLarge = (): CodedError =>
  new CodedError('bad_request', 'the regular expression is too large: fewer or smaller repetitions, please');

function run(states: readonly State[], start: number, value: string): boolean {
  let current = closure(states, [start]);
  for (const char of value) {
    if (current.length === 0) return false;
    const code = char.codePointAt(0) ?? 0;
    const reached: number[] = [];
    for (const state of current)
      if (state.kind === 'set' && contains(state.set, code)) reached.push(state.next);
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

const contains = ({ ranges, negated }: CharacterSet, code: number): boolean =>
  ranges.some(([low, high]) => code >= low && code <= high) !== negated;
