import { CodedError } from '../../base/errors.ts';

export interface Token {
  readonly kind: 'name' | 'text' | 'sign';
  readonly text: string;
  /** From 1. */
  readonly column: number;
}

const space = /\s+/y;
const name = /[A-Za-z_][A-Za-z0-9_-]*/y;
const sign = /&&|\|\||[!().,[\]]/y;
const quoted = /"(?<double>(?:[^"\\\n]|\\["\\])*)"|'(?<single>(?:[^'\\\n]|\\['\\])*)'/y;

/** The words of a condition. @throws CodedError `bad_request` with the column of what is no word. */
export function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const matched = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  while (at < text.length) {
    const blank = matched(space);
    if (blank) {
      at += blank[0].length;
      continue;
    }
    const column = at + 1;
    const word = matched(name) ?? matched(sign) ?? matched(quoted);
    if (!word) throw new CodedError('bad_request', `column ${column}: ${unreadable(text, at)}`);
    at += word[0].length;
    const inner = word.groups?.['double'] ?? word.groups?.['single'];
    if (inner !== undefined) tokens.push({ kind: 'text', text: inner.replace(/\\(.)/g, '$1'), column });
    else tokens.push({ kind: /^[A-Za-z_]/.test(word[0]) ? 'name' : 'sign', text: word[0], column });
  }
  return tokens;
}

const unreadable = (text: string, at: number): string =>
  text[at] === '"' || text[at] === "'"
    ? 'a text in quotes that does not end'
    : `${JSON.stringify(text[at])} has no meaning in a condition`;
