import { type Automaton, type State, takes } from './pattern-automaton.ts';

/** Where the automata of all patterns are after some characters of a text. */
interface Place {
  /** States that take a character. */
  readonly open: readonly number[];
  /** Patterns that match if the text ends here. */
  readonly matched: readonly number[];
  /** By the next character's code point, as far as it was asked. */
  readonly next: Map<number, Place>;
}

/**
 * How many numbers the places of one set hold together before they are forgotten and found again: a text that
 * leads to many costs time as without them, never memory.
 */
const mostKept = 200_000;

/**
 * Matches a text with many patterns in one pass. Which states a character leads to is found when it is first
 * asked, and kept: a text like one before takes one step for each character, however many patterns there are.
 * Nothing backtracks. Source: R. Cox, "Regular Expression Matching Can Be Simple And Fast".
 */
export class PatternSet {
  readonly #states: readonly State[];
  /** By state: the pattern it belongs to, and the index of that one's first state. */
  readonly #owners: readonly number[];
  readonly #bases: readonly number[];
  readonly #starts: readonly number[];
  #places = new Map<string, Place>();
  #kept = 0;
  #start: Place;

  constructor(automata: readonly Automaton[]) {
    const bases: number[] = [];
    const states: State[] = [];
    const owners: number[] = [];
    for (const [pattern, automaton] of automata.entries()) {
      bases.push(states.length);
      for (const state of automaton.states) {
        states.push(state);
        owners.push(pattern);
      }
    }
    this.#states = states;
    this.#owners = owners;
    this.#bases = bases;
    this.#starts = automata.map(({ start }, pattern) => (bases[pattern] ?? 0) + start);
    this.#start = this.#placeFrom(this.#starts);
  }

  /** The patterns that match the whole text, by their index. */
  matching(text: string): readonly number[] {
    let place = this.#start;
    for (const char of text) {
      if (place.open.length === 0) return [];
      const code = char.codePointAt(0) ?? 0;
      let next = place.next.get(code);
      if (next === undefined) {
        next = this.#after(place, code);
        place.next.set(code, next);
        if (++this.#kept > mostKept) this.#forget();
      }
      place = next;
    }
    return place.matched;
  }

  #after({ open }: Place, code: number): Place {
    const reached: number[] = [];
    for (const at of open) {
      const state = this.#states[at];
      if (state?.kind === 'set' && takes(state.set, code)) reached.push(this.#baseOf(at) + state.next);
    }
    return this.#placeFrom(reached);
  }

  /** With the states that can be reached without taking a character. */
  #placeFrom(from: readonly number[]): Place {
    const seen = new Set(from);
    const open: number[] = [];
    const matched: number[] = [];
    for (const at of seen) {
      const state = this.#states[at];
      if (state?.kind === 'set') open.push(at);
      else if (state?.kind === 'end') matched.push(this.#owners[at] ?? 0);
      else if (state?.kind === 'split') {
        const base = this.#baseOf(at);
        seen.add(base + state.next).add(base + state.other);
      }
    }
    const key = `${open.join()} ${matched.join()}`;
    const known = this.#places.get(key);
    if (known) return known;
    const place: Place = { open, matched, next: new Map() };
    this.#places.set(key, place);
    this.#kept += 1 + open.length + matched.length;
    return place;
  }

  #baseOf(at: number): number {
    return this.#bases[this.#owners[at] ?? 0] ?? 0;
  }

  #forget(): void {
    this.#places = new Map();
    this.#kept = 0;
    this.#start = this.#placeFrom(this.#starts);
  }
}
