import { CodedError, unreachable } from '../base/errors.ts';
import type { CharacterSet, Pattern } from './pattern-syntax.ts';

/** One state of the automaton. `next` and `other` are indexes of states; `next` is tried first. */
export type State =
  | { readonly kind: 'set'; readonly set: CharacterSet; readonly next: number }
  | { readonly kind: 'split'; readonly next: number; readonly other: number }
  /** Notes where in the text a group begins or ends. */
  | { readonly kind: 'save'; readonly group: number; readonly edge: 'start' | 'end'; readonly next: number }
  | { readonly kind: 'end' };

export interface Automaton {
  readonly states: readonly State[];
  readonly start: number;
}

/** Limits the cost of a pattern: time is at most states times characters. */
const maxStates = 2_000;
const maxSteps = 10_000;

/**
 * With `groups: 'noted'` there are states that note where groups begin and end.
 * @throws CodedError `bad_request` for a pattern that is too large.
 */
export function automatonOf(
  pattern: Pattern,
  { groups }: { readonly groups: 'noted' | 'left_out' },
): Automaton {
  const states: State[] = [{ kind: 'end' }];
  return { states, start: new Builder(states, groups).build(pattern, 0) };
}

/** Whether the character of this code point is one that a state takes. */
export const takes = ({ ranges, negated }: CharacterSet, code: number): boolean =>
  ranges.some(([low, high]) => code >= low && code <= high) !== negated;

/** Builds from the end to the beginning: each part is given the state that follows it. */
class Builder {
  #steps = 0;
  readonly #states: State[];
  readonly #groups: 'noted' | 'left_out';
  constructor(states: State[], groups: 'noted' | 'left_out') {
    this.#states = states;
    this.#groups = groups;
  }

  build(pattern: Pattern, next: number): number {
    if (++this.#steps > maxSteps) throw tooLarge();
    switch (pattern.kind) {
      case 'set':
        return this.#add({ kind: 'set', set: pattern.set, next });
      case 'sequence':
        return pattern.parts.reduceRight((following, part) => this.build(part, following), next);
      case 'alternatives':
        return this.#alternatives(pattern, next);
      case 'repeat':
        return this.#repeat(pattern, next);
      default:
        return unreachable(pattern);
    }
  }

  #alternatives({ options, group }: Extract<Pattern, { kind: 'alternatives' }>, next: number): number {
    const noted = this.#groups === 'noted' ? group : undefined;
    const after = noted === undefined ? next : this.#add({ kind: 'save', group: noted, edge: 'end', next });
    const inside = options
      .map((option) => this.build(option, after))
      .reduceRight((other, option) => this.#add({ kind: 'split', next: option, other }));
    return noted === undefined
      ? inside
      : this.#add({ kind: 'save', group: noted, edge: 'start', next: inside });
  }

  #repeat({ part, min, max, lazy }: Extract<Pattern, { kind: 'repeat' }>, next: number): number {
    const choice = (again: number): State =>
      lazy ? { kind: 'split', next, other: again } : { kind: 'split', next: again, other: next };
    let following = next;
    if (max === Infinity) {
      const loop = this.#add(choice(next));
      this.#states[loop] = choice(this.build(part, loop));
      following = loop;
    } else for (let i = min; i < max; i++) following = this.#add(choice(this.build(part, following)));
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
