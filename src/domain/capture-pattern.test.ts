import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileCapture } from './capture-pattern.ts';

/** What may repeat has no group in it: JavaScript empties a group at each repetition, RE2 does not. */
const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', String.raw`\w`, '(?:ab|a)', '(?:a|ab)', '(?:b|)');
const repeated = fc
  .tuple(atom, fc.constantFrom('', '*', '+', '?', '*?', '+?', '??', '{2}', '{1,2}', '{1,2}?'))
  .map((parts) => parts.join(''));
const run = fc.array(repeated, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(''));
const group: fc.Arbitrary<string> = fc.oneof(
  run.map((one) => `(${one})`),
  fc.tuple(run, run).map(([one, other]) => `(${one}|${other})`),
  fc.tuple(run, run, run).map(([one, two, three]) => `(${one}(${two})${three}|${two})`),
);
const pattern = fc.array(fc.oneof(group, run), { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''));
const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '-', '\n', '🙂'), maxLength: 8 });

describe('the groups of a pattern', () => {
  it('are those of the expressions of the language', () => {
    fc.assert(
      fc.property(pattern, word, (text, value) => {
        fc.pre(text.length <= 256);
        const native = new RegExp(`^(?:${text})$`, 'u').exec(value);
        const { capture } = compileCapture(text);
        expect(capture(value)).toEqual(
          native === null ? undefined : Array.from<string | undefined>(native).map((one) => one ?? ''),
        );
      }),
      { numRuns: 1_500 },
    );
  });

  it('keep what they last matched in a repetition', () => {
    expect(compileCapture('(?:(a)|b)*').capture('ab')).toEqual(['ab', 'a']);
    expect(compileCapture('(?:(a|b)-?)*').capture('a-b')).toEqual(['a-b', 'b']);
    expect(compileCapture('(a*)*').capture('aa')?.[0]).toBe('aa');
  });

  it('are counted', () => {
    expect(compileCapture('(a)(?:b)((c)|d){2}').groups).toBe(3);
    expect(compileCapture('abc').groups).toBe(0);
  });

  it.each(['(a+)+', '(a|a)*', '(a*)*b', '(.*a){20}', '(a?){30}a{30}', '((a)|(a))*'])(
    'are found quickly for %s',
    (text) => {
      const { capture } = compileCapture(text);
      const started = performance.now();
      capture(`${'a'.repeat(1_000)}!`);
      capture('a'.repeat(1_000));
      expect(performance.now() - started).toBeLessThan(2_000);
    },
  );

  it('of one that is too large are refused', () => {
    expect(() => compileCapture('((a{100}){100}){100}')).toThrow(/too large/);
  });
});
