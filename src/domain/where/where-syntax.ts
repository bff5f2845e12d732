import { CodedError } from '../../base/errors.ts';
import { type Token, tokensOf } from './where-tokens.ts';

/** What a condition looks at: `user.spec.traits["team"]` is `['user', 'spec', 'traits', 'team']`. */
export type WherePath = readonly string[];

export type WhereValue =
  { readonly kind: 'text'; readonly text: string } | { readonly kind: 'path'; readonly path: WherePath };

/** A condition, read. */
export type Where =
  | { readonly kind: 'equals' | 'contains'; readonly left: WhereValue; readonly right: WhereValue }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Where[] }
  | { readonly kind: 'not'; readonly part: Where };

/** Longer conditions are refused; deeper ones, too. */
export const longestWhere = 1_000;
const deepest = 20;

const functions = ['equals', 'contains'] as const;

/**
 * Where a path may begin, as patterns of its parts: `*` is any one name. Source: reference 4.4, `where` of
 * rules; `resource.kind`, `user.spec.roles` and the spec of users and sessions are ours.
 */
const knownPaths: readonly (readonly string[])[] = [
  ['user', 'metadata', 'name'],
  ['user', 'spec', 'roles'],
  ['user', 'spec', 'traits', '*'],
  ['resource', 'kind'],
  ['resource', 'metadata', 'name'],
  ['resource', 'metadata', 'labels', '*'],
  ['resource', 'spec', 'roles'],
  ['resource', 'spec', 'traits', '*'],
  ['resource', 'spec', 'participants'],
];

/** `system.catype()`, which 4.4 has: the type of the authority that is asked for. */
const authorityType: WherePath = ['system', 'catype'];

/**
 * Reads the `where` of a rule: `equals(a, b)`, `contains(list, x)`, `&&`, `||`, `!`, parentheses.
 * @throws CodedError `bad_request` that names the column (from 1) and what was expected.
 */
export function parseWhere(text: string): Where {
  if (text.length > longestWhere)
    throw new CodedError('bad_request', `a condition has at most ${longestWhere} characters`);
  const reader = new Reader(tokensOf(text), text.length);
  const where = reader.either(0);
  reader.end();
  return where;
}

class Reader {
  readonly #tokens: readonly Token[];
  readonly #length: number;
  #at = 0;

  constructor(tokens: readonly Token[], length: number) {
    this.#tokens = tokens;
    this.#length = length;
  }

  either(depth: number): Where {
    return this.#joined('or', '||', () => this.#all(depth));
  }

  end(): void {
    if (this.#at < this.#tokens.length) throw this.#expected('&& or ||');
  }

  #all(depth: number): Where {
    return this.#joined('and', '&&', () => this.#one(depth));
  }

  #joined(kind: 'and' | 'or', sign: string, part: () => Where): Where {
    const first = part();
    const parts = [first];
    while (this.#take(sign)) parts.push(part());
    return parts.length === 1 ? first : { kind, parts };
  }

  #one(depth: number): Where {
    if (depth >= deepest) throw new CodedError('bad_request', `a condition nests at most ${deepest} deep`);
    if (this.#take('!')) return { kind: 'not', part: this.#one(depth + 1) };
    if (this.#take('(')) {
      const inner = this.either(depth + 1);
      this.#need(')');
      return inner;
    }
    const name = functions.find((one) => this.#take(one));
    if (name === undefined) throw this.#expected('equals(…) or contains(…)');
    this.#need('(');
    const left = this.#value();
    this.#need(',');
    const right = this.#value();
    this.#need(')');
    return { kind: name, left, right };
  }

  #value(): WhereValue {
    const token = this.#tokens[this.#at];
    if (token?.kind === 'text') {
      this.#at++;
      return { kind: 'text', text: token.text };
    }
    if (token?.kind !== 'name') throw this.#expected('a text in quotes or a name');
    return { kind: 'path', path: this.#path(token.column) };
  }

  #path(column: number): WherePath {
    const path = [this.#name()];
    for (;;) {
      if (this.#take('.')) path.push(this.#name());
      else if (this.#take('[')) {
        const token = this.#tokens[this.#at++];
        if (token?.kind !== 'text') throw this.#expected('a text in quotes', this.#at - 1);
        path.push(token.text);
        this.#need(']');
      } else break;
    }
    if (isSame(path, authorityType)) {
      this.#need('(');
      this.#need(')');
    } else if (!knownPaths.some((known) => fits(path, known))) {
      const all = knownPaths.map((known) => known.join('.').replace('.*', '["…"]'));
      throw new CodedError(
        'bad_request',
        `column ${column}: ${path.join('.')} is not known; known are ${all.join(', ')}, system.catype()`,
      );
    }
    return path;
  }

  #name(): string {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'name') throw this.#expected('a name');
    this.#at++;
    return token.text;
  }

  #take(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token === undefined || token.kind === 'text' || token.text !== text) return false;
    this.#at++;
    return true;
  }

  #need(text: string): void {
    if (!this.#take(text)) throw this.#expected(text);
  }

  #expected(what: string, at = this.#at): CodedError {
    const token = this.#tokens[at];
    const [column, found] =
      token === undefined ? [this.#length + 1, 'the end'] : [token.column, JSON.stringify(token.text)];
    return new CodedError('bad_request', `column ${column}: expected ${what}, found ${found}`);
  }
}

const isSame = (path: WherePath, other: WherePath): boolean =>
  path.length === other.length && path.every((part, i) => part === other[i]);

const fits = (path: WherePath, known: readonly string[]): boolean =>
  path.length === known.length && known.every((part, i) => part === '*' || part === path[i]);
