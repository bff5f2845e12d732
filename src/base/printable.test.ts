import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printable, printableLine, printableLines, printableMessage } from './printable.ts';

/** Everything that may steer, hide or forge, between letters. */
const hostile = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      '\n',
      '\r',
      '\t',
      '\0',
      '\u001b',
      '\u007f',
      '\u009b',
      '\u202e',
      '\u2066',
      '\u200b',
      '\u200d',
    ),
    fc.constantFrom(
      '\u061c',
      '\u00ad',
      '\ufeff',
      '\u2028',
      '\u2029',
      '\u3164',
      '\u{e0041}',
      '\ud800',
      '\ufe0f',
      '\\',
    ),
    fc.string({ unit: 'binary', maxLength: 2 }),
  ),
});
const hidden = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;

describe('text of others', () => {
  it('is one line in which nothing is hidden, as a word and as a line of a log', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(printable(text)).not.toMatch(hidden);
        expect(printableLine(text)).not.toMatch(hidden);
      }),
    );
  });
  it('keeps its lines and tabs where lines are printed, and nothing else that steers', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const printed = printableLines(text);
        expect(printed.replace(/\r\n|[\n\t]/g, '')).not.toMatch(hidden);
        expect(printed.match(/\n/g)?.length).toBe(text.match(/\n/g)?.length);
        expect(printableLines(printed)).toBe(printed);
      }),
    );
  });
  it('stays the same JSON', () => {
    fc.assert(
      fc.property(fc.oneof(hostile, fc.jsonValue()), (value) => {
        expect(JSON.parse(printableLine(JSON.stringify(value)))).toEqual(JSON.parse(JSON.stringify(value)));
        const indented = JSON.stringify({ value }, undefined, 4);
        expect(JSON.parse(printableLines(indented))).toEqual(JSON.parse(indented));
      }),
    );
  });
  it('is left alone when there is nothing to hide', () => {
    for (const text of ['Grüße, 世界 👍', 'a\\b "c"', '€ – ½'])
      expect([printable(text), printableLine(text), printableLines(text), printableMessage(text)]).toEqual([
        text,
        text,
        text,
        text,
      ]);
  });
  it('is quoted whole in a message', () => {
    expect(printableMessage('two\nlines')).toBe('two\nlines');
    expect(printableMessage('a\u009bb "c"')).toBe('"a\\x9bb \\"c\\""');
    expect(printableMessage('\u{e0041}')).toBe('"\\udb40\\udc41"');
  });
});
