import { unreachable } from '../base/errors.ts';
import { isExpression, type LabelPattern } from './label-pattern.ts';
import type { Labels } from './label-selector.ts';
import type { Automaton } from './pattern-automaton.ts';
import { PatternSet } from './pattern-set.ts';
import type { RoleSpec } from './role-spec.ts';
import { patternAutomaton } from './safe-pattern.ts';
import { starPattern } from './star-pattern.ts';

type Selector = RoleSpec['allow']['nodeLabels'];

/** Which of its selectors match a server's labels, by their indexes, in order. */
export type LabelIndex = (labels: Labels) => readonly number[];

/** No server has this many labels, so a selector that needs it never matches. */
const never = 0xffff_ffff;

/**
 * Many selectors made ready to be asked of many servers; each is answered as `matchesLabels` answers. The
 * cost of a question grows with the labels of the server, and hardly with the selectors: plain values are
 * looked up, all expressions for a label are matched in one pass, and what matches a value is kept.
 */
export function labelIndex(selectors: readonly Selector[], sense: 'allow' | 'deny'): LabelIndex {
  /** How many labels must have one of the values that a selector names. */
  const needed = new Uint32Array(selectors.length);
  const values = new Map<string, ValuesOfLabel>();
  for (const [at, selector] of selectors.entries()) {
    const entries = Object.entries(selector);
    if (entries.length === 0) needed[at] = never;
    for (const [key, wanted] of entries)
      if (key === '*') {
        if (!wanted.includes('*')) needed[at] = never;
      } else {
        if (needed[at] !== never) needed[at] = (needed[at] ?? 0) + 1;
        const known = values.get(key) ?? new ValuesOfLabel(sense);
        values.set(key, known);
        known.add(at, wanted);
      }
  }
  const always = indexesWhere(needed, (count) => count === 0);
  /** How many were met of the question that is being answered. */
  const met = new Uint32Array(selectors.length);
  return (labels) => {
    const touched: number[] = [];
    const matching: number[] = [...always];
    for (const key of Object.keys(labels))
      for (const at of values.get(key)?.matching(labels[key] ?? '') ?? []) {
        touched.push(at);
        const count = (met[at] ?? 0) + 1;
        met[at] = count;
        if (count === needed[at]) matching.push(at);
      }
    for (const at of touched) met[at] = 0;
    return matching.length > 1 ? matching.sort((a, b) => a - b) : matching;
  };
}

const indexesWhere = (counts: Uint32Array, is: (count: number) => boolean): readonly number[] =>
  [...counts.keys()].filter((at) => is(counts[at] ?? 0));

/** Of so many values of a label it is kept what matches them. */
const mostKept = 256;

/** What the selectors want of one label. */
class ValuesOfLabel {
  readonly #sense: 'allow' | 'deny';
  readonly #plain = new Map<string, number[]>();
  readonly #stars: { readonly at: number; readonly matches: LabelPattern }[] = [];
  /** By the number of the pattern in the set. */
  readonly #expressions: { readonly at: number; readonly automaton: Automaton }[] = [];
  /** Those that match whatever the value is. */
  readonly #always: number[] = [];
  readonly #kept = new Map<string, readonly number[]>();
  #set: PatternSet | undefined;

  constructor(sense: 'allow' | 'deny') {
    this.#sense = sense;
  }

  add(at: number, values: readonly string[]): void {
    for (const value of wantedValues(values)) this.#add(at, value);
  }

  /** The selectors that want a value like this one, each once. */
  matching(value: string): readonly number[] {
    const known = this.#kept.get(value);
    if (known) return known;
    const found = this.#found(value);
    if (this.#kept.size >= mostKept) this.#kept.clear();
    this.#kept.set(value, found);
    return found;
  }

  #add(at: number, value: WantedValue): void {
    switch (value.kind) {
      case 'plain': {
        const known = this.#plain.get(value.text);
        if (known) known.push(at);
        else this.#plain.set(value.text, [at]);
        return;
      }
      case 'stars':
        this.#stars.push({ at, matches: value.matches });
        return;
      case 'expression':
        this.#expressions.push({ at, automaton: value.automaton });
        return;
      case 'broken':
        if (this.#sense === 'deny') this.#always.push(at);
        return;
      default:
        unreachable(value);
    }
  }

  #found(value: string): readonly number[] {
    this.#set ??= new PatternSet(this.#expressions.map(({ automaton }) => automaton));
    const found = new Set([...this.#always, ...(this.#plain.get(value) ?? [])]);
    for (const { at, matches } of this.#stars) if (matches(value)) found.add(at);
    for (const number of this.#set.matching(value)) found.add(this.#expressions[number]?.at ?? 0);
    return [...found];
  }
}

type WantedValue =
  | { readonly kind: 'plain'; readonly text: string }
  | { readonly kind: 'stars'; readonly matches: LabelPattern }
  | { readonly kind: 'expression'; readonly automaton: Automaton }
  /** Refused when a role is made, so another release wrote it: it never allows and always denies. */
  | { readonly kind: 'broken' };

/** By the very list that a role has: roles are indexed again with each other choice of roles. */
const read = new WeakMap<readonly string[], readonly WantedValue[]>();

function wantedValues(values: readonly string[]): readonly WantedValue[] {
  const known = read.get(values);
  if (known) return known;
  const wanted = values.map(keptValue);
  read.set(values, wanted);
  return wanted;
}

/** Many roles name the same values. */
const mostTexts = 1_000;
const texts = new Map<string, WantedValue>();

function keptValue(text: string): WantedValue {
  const known = texts.get(text);
  if (known) return known;
  if (texts.size >= mostTexts) texts.clear();
  const value = wantedValue(text);
  texts.set(text, value);
  return value;
}

function wantedValue(text: string): WantedValue {
  if (!isExpression(text))
    return text.includes('*') ? { kind: 'stars', matches: starPattern(text) } : { kind: 'plain', text };
  try {
    return { kind: 'expression', automaton: patternAutomaton(text.slice(1, -1)) };
  } catch {
    return { kind: 'broken' };
  }
}
