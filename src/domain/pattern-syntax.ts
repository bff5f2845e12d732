import { CodedError } from '../base/errors.ts';

/** Which characters match at one place of a pattern: inclusive ranges of code points. */
export interface CharacterSet {
  readonly ranges: readonly (readonly [number, number])[];
  readonly negated: boolean;
}

/**
 * A parsed pattern. `max` is Infinity for an open repetition; `group` is the number of a group that can be
 * referred to, from 1.
 */
export type Pattern =
  | { readonly kind: 'set'; readonly set: CharacterSet }
  | { readonly kind: 'sequence'; readonly parts: readonly Pattern[] }
  | {
      readonly kind: 'alternatives';
      readonly options: readonly Pattern[];
      readonly group: number | undefined;
    }
  | {
      readonly kind: 'repeat';
      readonly part: Pattern;
      readonly min: number;
      readonly max: number;
      /** Takes as little as it can, where that makes a difference: in what groups hold. */
      readonly lazy: boolean;
    };

const maxLength = 256;
const maxCount = 1000;

const digits: readonly [number, number] = [0x30, 0x39];
const classes: Readonly<Record<string, CharacterSet['ranges']>> = {
  d: [digits],
  w: [digits, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]],
  s: [
    [0x09, 0x0a],
    [0x0c, 0x0d],
    [0x20, 0x20],
  ],
};
const controls: Readonly<Record<string, number>> = { t: 9, n: 10, f: 12, r: 13 };

/**
 * Reads the part of RE2's syntax that needs no backtracking and no anchors: characters, `.`, `[…]`,
 * `\d \w \s`, groups, alternatives, repetition. The rest (anchors inside, flags, lookaround, back references)
 * is refused.
 * @throws CodedError `bad_request` that says what is wrong and where.
 */
export function parsePattern(text: string): Pattern {
  const chars = Array.from(text);
  if (chars.length > maxLength)
    throw new CodedError('bad_request', `the regular expression is longer than ${maxLength} characters`);
  const parser = new Parser(chars);
  const options = parser.alternatives();
  if (!parser.atEnd()) throw parser.wrong('")" without "("');
  if (options.length > 1)
    throw new CodedError(
      'bad_request',
      `the regular expression ^${text}$ needs parentheses around its alternatives: ^(${text})$`,
    );
  return options[0] ?? { kind: 'sequence', parts: [] };
}

class Parser {
  #at = 0;
  #groups = 0;
  readonly #chars: readonly string[];
  constructor(chars: readonly string[]) {
    this.#chars = chars;
  }

  atEnd(): boolean {
    return this.#at >= this.#chars.length;
  }

  wrong(what: string): CodedError {
    return new CodedError(
      'bad_request',
      `the regular expression ^${this.#chars.join('')}$ cannot be read at character ${this.#at + 1}: ${what}`,
    );
  }

  alternatives(): Pattern[] {
    const options = [this.#sequence()];
    while (this.#take('|')) options.push(this.#sequence());
    return options;
  }

  #sequence(): Pattern {
    const parts: Pattern[] = [];
    while (!this.atEnd() && !'|)'.includes(this.#peek())) parts.push(this.#repeated());
    return { kind: 'sequence', parts };
  }

  #repeated(): Pattern {
    const part = this.#atom();
    const counts = this.#counts();
    if (!counts) return part;
    const lazy = this.#take('?');
    if (this.#counts()) throw this.wrong('two repetitions in a row');
    return { kind: 'repeat', part, ...counts, lazy };
  }

  #counts(): { min: number; max: number } | undefined {
    if (this.#take('*')) return { min: 0, max: Infinity };
    if (this.#take('+')) return { min: 1, max: Infinity };
    if (this.#take('?')) return { min: 0, max: 1 };
    if (!this.#take('{')) return undefined;
    const min = this.#number();
    let max = min;
    if (this.#take(',')) max = this.#peek() === '}' ? Infinity : this.#number();
    if (!this.#take('}') || max < min) throw this.wrong('expected {n}, {n,} or {n,m}');
    return { min, max };
  }

  #number(): number {
    let text = '';
    while (/^[0-9]$/.test(this.#peek())) text += this.#next();
    if (text === '' || Number(text) > maxCount) throw this.wrong(`expected a count of at most ${maxCount}`);
    return Number(text);
  }

  #atom(): Pattern {
    const char = this.#next();
    switch (char) {
      case '(':
        return this.#group();
      case '[':
        return { kind: 'set', set: this.#characterClass() };
      case '.':
        return { kind: 'set', set: { ranges: [[10, 10]], negated: true } };
      case '\\':
        return { kind: 'set', set: this.#escape() };
      case '^':
      case '$':
        throw this.wrong('anchors stand only at the beginning and the end');
      case '*':
      case '+':
      case '?':
      case '{':
        throw this.wrong('nothing to repeat');
      default:
        return { kind: 'set', set: only(char) };
    }
  }

  #group(): Pattern {
    const special = this.#take('?');
    if (special && !this.#take(':')) throw this.wrong('of (?…) only (?:…) is supported');
    const group = special ? undefined : ++this.#groups;
    const options = this.alternatives();
    if (!this.#take(')')) throw this.wrong('"(" without ")"');
    return { kind: 'alternatives', options, group };
  }

  #escape(): CharacterSet {
    const char = this.#next();
    const named = classes[char.toLowerCase()];
    if (named) return { ranges: named, negated: char !== char.toLowerCase() };
    const control = controls[char];
    if (control !== undefined) return { ranges: [[control, control]], negated: false };
    if (/^[A-Za-z0-9]$/.test(char)) throw this.wrong(`\\${char} is not supported`);
    return only(char);
  }

  #characterClass(): CharacterSet {
    const negated = this.#take('^');
    const ranges: (readonly [number, number])[] = [];
    do ranges.push(...this.#classItem());
    while (this.#peek() !== ']');
    this.#next();
    return { ranges, negated };
  }

  #classItem(): CharacterSet['ranges'] {
    if (this.#peek() === '[' && this.#chars[this.#at + 1] === ':') throw this.wrong('[:…:] is not supported');
    const low = this.#classMember();
    const isRange = this.#peek() === '-' && this.#chars[this.#at + 1] !== ']';
    if (!isRange) return low;
    this.#next();
    const high = this.#classMember();
    const [from, to] = [low[0]?.[0] ?? 0, high[0]?.[0] ?? 0];
    if (!single(low) || !single(high) || from > to) throw this.wrong('this range is empty or has no end');
    return [[from, to]];
  }

  #classMember(): CharacterSet['ranges'] {
    const char = this.#next();
    if (char !== '\\') return only(char).ranges;
    const set = this.#escape();
    if (set.negated) throw this.wrong('a negated class inside brackets is not supported');
    return set.ranges;
  }

  #peek(): string {
    return this.#chars[this.#at] ?? '';
  }

  #next(): string {
    const char = this.#chars[this.#at];
    if (char === undefined) throw this.wrong('it ends too early');
    this.#at++;
    return char;
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false;
    this.#at++;
    return true;
  }
}

const single = (ranges: CharacterSet['ranges']): boolean =>
  ranges.length === 1 && ranges[0]?.[0] === ranges[0]?.[1];

function only(char: string): CharacterSet {
  const code = char.codePointAt(0) ?? 0;
  return { ranges: [[code, code]], negated: false };
}
