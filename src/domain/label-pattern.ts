import { compilePattern } from './safe-pattern.ts';

/** Tells whether a label's value is meant. */
export type LabelPattern = (value: string) => boolean;

/** Patterns are asked again for every server: what was compiled is kept, up to so many. */
const maxKept = 1_000;
const kept = new Map<string, LabelPattern>();

/**
 * One value of a role's label: a regular expression when it is `^…$`, else text in which `*` stands for anything.
 * @throws CodedError `bad_request` for an expression that cannot be read.
 */
export function labelPattern(text: string): LabelPattern {
  const known = kept.get(text);
  if (known) return known;
  const isExpression = text.startsWith('^') && text.endsWith('$') && text.length > 1;
  const pattern = isExpression ? compilePattern(text.slice(1, -1)) : glob(text);
  if (kept.size >= maxKept) kept.clear();
  kept.set(text, pattern);
  return pattern;
}

function glob(text: string): LabelPattern {
  const [first = '', ...rest] = text.split('*');
  const last = rest.pop();
  if (last === undefined) return (value) => value === text;
  return (value) => {
    if (value.length < first.length + last.length) return false;
    if (!value.startsWith(first) || !value.endsWith(last)) return false;
    const end = value.length - last.length;
    let at = first.length;
    for (const part of rest) {
      const found = value.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}
