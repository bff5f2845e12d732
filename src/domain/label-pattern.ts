import { compilePattern } from './safe-pattern.ts';
import { starPattern } from './star-pattern.ts';

/** Whether the pattern matches a label's value. */
export type LabelPattern = (value: string) => boolean;

/** Patterns are evaluated again for every server, so this many compiled ones are kept. */
const maxKept = 1_000;
const kept = new Map<string, LabelPattern>();

/**
 * One value of a role's label: a regular expression when it is `^…$`, else text in which `*` stands for
 * anything.
 * @throws CodedError `bad_request` for an expression that cannot be read.
 */
export function labelPattern(text: string): LabelPattern {
  const known = kept.get(text);
  if (known) return known;
  const pattern = isExpression(text) ? compilePattern(text.slice(1, -1)) : starPattern(text);
  if (kept.size >= maxKept) kept.clear();
  kept.set(text, pattern);
  return pattern;
}

/** Whether a value of a role's label is a regular expression. */
export const isExpression = (text: string): boolean =>
  text.startsWith('^') && text.endsWith('$') && text.length > 1;
