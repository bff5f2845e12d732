import { CodedError } from '../base/errors.ts';
import { starPattern } from './star-pattern.ts';

/*
 * What the machines of a token may be called: `web-*`, `*.db.example.com`. A star stands for any characters
 * but a dot, so that a pattern never means a name in somebody else's domain.
 */

const form = /^[A-Za-z0-9_*](?:[A-Za-z0-9_.*-]*[A-Za-z0-9_*])?$/;
const longest = 253;
const most = 20;

/**
 * Patterns as people write them, separated by commas; in small letters. Empty for an empty text.
 * @throws CodedError `bad_request` naming the invalid pattern.
 */
export function parseNamePatterns(text: string): string[] {
  const patterns = [
    ...new Set(
      text
        .toLowerCase()
        .split(',')
        .map((one) => one.trim()),
    ),
  ].filter((one) => one !== '');
  checkNamePatterns(patterns);
  return patterns;
}

/** @throws CodedError `bad_request` naming the invalid pattern. */
export function checkNamePatterns(patterns: readonly string[]): void {
  if (patterns.length > most) throw new CodedError('bad_request', `names: at most ${most} patterns`);
  const bad = patterns.find((one) => one.length > longest || !form.test(one) || one.includes('..'));
  if (bad !== undefined)
    throw new CodedError(
      'bad_request',
      `names: ${JSON.stringify(bad.slice(0, 64))} is not a pattern of names: letters, digits and . - _, and * for any characters but a dot`,
    );
}

/**
 * Whether one of the patterns matches the name; case does not matter. Takes time proportional at most to the
 * length of the pattern times that of the name.
 */
export const isNamedBy = (patterns: readonly string[], name: string): boolean =>
  patterns.some((pattern) => matches(pattern.toLowerCase().split('.'), name.toLowerCase().split('.')));

const matches = (pattern: readonly string[], name: readonly string[]): boolean =>
  pattern.length === name.length && pattern.every((label, i) => starPattern(label)(name[i] ?? ''));
