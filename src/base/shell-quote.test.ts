import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shellQuote, shellQuoteGlob } from './shell-quote.ts';

describe('quoting for a shell', () => {
  it('leaves plain words alone and closes every other', () => {
    expect([`a-b:/c`, `it's`, `a;b`, ''].map(shellQuote)).toEqual([`a-b:/c`, `'it'\\''s'`, `'a;b'`, `''`]);
  });
  it('keeps patterns and nothing else', () => {
    expect(shellQuoteGlob('~/lo gs/*.{gz,xz}')).toBe('~/lo\\ gs/*.{gz,xz}');
    expect(shellQuoteGlob('a;$(x)`y`|z&\n')).toBe("a\\;\\$\\(x\\)\\`y\\`\\|z\\&'\n'");
  });
  it('gives a word back from the shell as it went in', () => {
    fc.assert(
      fc.property(fc.string(), (word) => {
        const quoted = shellQuote(word);
        const plain = quoted.startsWith("'") ? quoted.slice(1, -1).replaceAll(`'\\''`, "'") : quoted;
        expect(plain).toBe(word);
      }),
    );
  });
});
