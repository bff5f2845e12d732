import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePattern } from './safe-pattern.ts';

const coded = (code: string): unknown => expect.objectContaining({ name: 'CodedError', code });

/** Patterns and the expression of the language that must agree with them. */
const pattern: fc.Arbitrary<string> = fc.letrec<{ pattern: string }>((tie) => ({
  pattern: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(
      'a',
      'b',
      '.',
      '[ab]',
      '[^a]',
      '\\d',
      '\\w',
      '[a-c]',
      '\\.',
      '-',
      '[\\d-]',
      '[]]',
      '[^]a]',
    ),
    fc.tuple(tie('pattern'), tie('pattern')).map(([x, y]) => x + y),
    fc.tuple(tie('pattern'), tie('pattern')).map(([x, y]) => `(${x}|${y})`),
    fc
      .tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{2}', '{0,2}', '{1,}', '*?'))
      .map(([x, count]) => `(?:${x})${count}`),
  ),
})).pattern;

/** `]` first in a class is itself in RE2, and ends the class in JavaScript. */
const native = (text: string): RegExp =>
  new RegExp(`^(?:${text.replaceAll('[]]', '\\]').replaceAll('[^]a]', '[^\\]a]')})$`, 'u');

describe('matching a pattern', () => {
  it('agrees with the expressions of the language', () => {
    const word = fc.string({
      unit: fc.constantFrom('a', 'b', 'c', '.', '-', ']', '1', '\n', '🙂'),
      maxLength: 6,
    });
    fc.assert(
      fc.property(pattern, word, (text, value) => {
        fc.pre(text.length <= 256);
        expect(compilePattern(text)(value)).toBe(native(text).test(value));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each(['(a+)+', '(a|a)*', '(a*)*b', '(.*a){20}', '(a?){30}a{30}'])('is quick for %s', (text) => {
    const match = compilePattern(text);
    const started = performance.now();
    match(`${'a'.repeat(1_000)}!`);
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it('takes a negated class outside of brackets, and a negated set of one', () => {
    const [letters, others] = [compilePattern('\\D+'), compilePattern('[^\\d]+')];
    for (const match of [letters, others])
      expect([match('ab'), match('a1'), match('1')]).toEqual([true, false, false]);
  });

  it('sees one character where two units are', () => {
    expect(compilePattern('.')('🙂')).toBe(true);
    expect(compilePattern('[🙁-🙂]')('🙂')).toBe(true);
  });
});

describe('reading a pattern', () => {
  it.each([
    ['(', '"(" without ")"'],
    [')', '")" without "("'],
    ['[a', 'ends too early'],
    ['[b-a]', 'range'],
    ['[\\d-z]', 'range'],
    ['[a-\\d]', 'range'],
    // Read as the class that is not negated, it would admit exactly those whom it is to keep out.
    ['[\\D]', 'negated class inside brackets'],
    ['[a\\W]', 'negated class inside brackets'],
    ['[^\\S]', 'negated class inside brackets'],
    ['a{1001}', 'count'],
    ['*', 'nothing to repeat'],
    ['a**', 'two repetitions'],
    ['a{2,1}', 'expected {n}'],
    ['a{5000}', 'count'],
    ['\\', 'ends too early'],
    ['\\b', 'not supported'],
    ['\\1', 'not supported'],
    ['a$|^b', 'anchors'],
    ['(?=a)', '(?:…)'],
    ['(?i)a', '(?:…)'],
    ['[[:alpha:]]', 'not supported'],
    ['a|b', 'parentheses'],
    ['((a{1000}){1000}){1000}', 'too large'],
    ['(((){1000}){1000}){1000}', 'too large'],
    ['a'.repeat(257), 'longer than'],
  ])('refuses %s', (text, why) => {
    expect(() => compilePattern(text)).toThrow(coded('bad_request'));
    expect(() => compilePattern(text)).toThrow(why);
  });

  it('reads or refuses any text', () => {
    const text = fc.string({
      unit: fc.constantFrom(...Array.from('ab()[]{}*+?|\\^$.-,19dwsW:')),
      maxLength: 30,
    });
    fc.assert(
      fc.property(text, (any) => {
        try {
          compilePattern(any)('ab1');
        } catch (e) {
          expect(e).toEqual(coded('bad_request'));
        }
      }),
      { numRuns: 5_000 },
    );
  });
});
