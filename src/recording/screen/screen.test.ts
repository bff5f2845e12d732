import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { paint, textOf } from './paint.ts';
import { plainLines } from './plain-lines.ts';
import { Screen } from './screen.ts';
import { programOutput } from './testing.ts';

function shown(text: string): string[] {
  const screen = new Screen(10, 4);
  screen.feed(Buffer.from(text));
  return textOf(screen);
}

/** REP of a character from before a picture is the one thing that no picture can carry over. */
const withoutRepeat = (text: string): string => text.replace(/^(?:\x1b\[[\d;]*b)+/, '');

describe('a screen', () => {
  it('wraps, scrolls, and knows where the cursor is', () => {
    expect(shown('1234567890ab\r\nc\r\nd\r\ne')).toEqual(['ab', 'c', 'd', 'e']);
    expect(shown('1234567890\r\nc')).toEqual(['1234567890', 'c', '', '']);
    expect(shown('\x1b[2;3Hx\x1b[A\x1b[2Dy')).toEqual([' y', '  x', '', '']);
    expect(shown('1234567890\nx')).toEqual(['1234567890', '         x', '', '']);
    expect(shown('1234567890\x1b[Px')).toEqual(['123456789x', '', '', '']);
    expect(shown('a\tb\x1b[Zc')).toEqual(['a       c', '', '', '']);
  });

  it('erases, inserts, deletes, scrolls within margins', () => {
    expect(shown('abcdef\x1b[3G\x1b[K')).toEqual(['ab', '', '', '']);
    expect(shown('abcdef\x1b[3G\x1b[2P\x1b[1G\x1b[@')).toEqual([' abef', '', '', '']);
    expect(shown('1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[3;1H\n5')).toEqual(['1', '3', '5', '4']);
    expect(shown('1\r\n2\r\n3\r\n4\x1b[2;1H\x1b[L')).toEqual(['1', '', '2', '3']);
    expect(shown('1\r\n2\r\n3\r\n4\x1b[1;1H\x1bM')).toEqual(['', '1', '2', '3']);
    expect(shown('abc\x1b[4h\x1b[1Gx')).toEqual(['xabc', '', '', '']);
  });

  it('has wide characters, marks and line drawing', () => {
    expect(shown('漢字x\x1b[2Gy')).toEqual([' y字x', '', '', '']);
    expect(shown('漢字\ré')).toEqual(['é 字', '', '', '']);
    expect(shown('漢字\rz')).toEqual(['z 字', '', '', '']);
    expect(shown('漢漢\rzc9')).toEqual(['zc9', '', '', '']);
    expect(shown('漢字\rx漢')).toEqual(['x漢', '', '', '']);
    expect(shown('漢字\x1b[2G\x1b[K')).toEqual(['', '', '', '']);
    expect(shown('e\u0301a')).toEqual(['e\u0301a', '', '', '']);
    expect(shown('123456789漢')).toEqual(['123456789', '漢', '', '']);
    expect(shown('\x1b(0lqk\x1b(Bq')).toEqual(['┌─┐q', '', '', '']);
    expect(shown('x\x1b[3b\n\x1b[3b')).toEqual(['xxxx', '', '', '']);
  });

  it('has another screen, from which it returns', () => {
    expect(shown('first\x1b[?1049hsecond')).toEqual(['     secon', 'd', '', '']);
    expect(shown('first\x1b[?1049hsecond\x1b[?1049l!')).toEqual(['first!', '', '', '']);
  });

  it('keeps its lines when it is resized, but for those above the cursor', () => {
    const screen = new Screen(10, 4);
    screen.feed(Buffer.from('1\r\n2\r\n3\r\n4'));
    screen.resize(5, 2);
    expect(textOf(screen)).toEqual(['3', '4']);
    screen.resize(6, 3);
    expect(textOf(screen)).toEqual(['3', '4', '']);
    const { grid } = new Screen(65_535, 65_535);
    expect([grid.columns, grid.rows]).toEqual([1_024, 512]);
  });

  it('passes over lines that are pushed out, and shows the same', () => {
    const line = fc.oneof(
      fc.string({ maxLength: 30 }),
      fc.constantFrom('y', '漢字', '', '\x0e', '\x0f', '\u009b2A'),
    );
    const tail = fc.array(line, { maxLength: 8 });
    fc.assert(
      fc.property(programOutput, tail, fc.constantFrom('\r\n', '\n'), tail, (before, first, end, last) => {
        const many = Array.from({ length: 600 }, (_, i) => `line ${i}${end}`);
        const bytes = Buffer.from([...first, ''].join(end) + many.join('') + last.join(end));
        const [fast, slow] = [new Screen(12, 5), new Screen(12, 5)];
        for (const one of [fast, slow]) one.feed(Buffer.from(before));
        fast.feed(bytes);
        for (let at = 0; at < bytes.length; at += 1_000) slow.feed(bytes.subarray(at, at + 1_000));
        expect(paint(fast)).toBe(paint(slow));
      }),
      { numRuns: 300 },
    );
  });

  it('looks at the last lines of many, and at all of what may change how they are read', () => {
    const many = Buffer.from('some text\r\n'.repeat(1_000));
    expect(plainLines(many, 24)).toBe(many.length - 24 * 11);
    for (const odd of ['\x1b7', '\x0e', '\x0f', '\u0084'])
      expect(plainLines(Buffer.concat([Buffer.from(odd), many]), 24), JSON.stringify(odd)).toBe(0);
    expect(plainLines(Buffer.from('some text\n'.repeat(1_000)), 24)).toBe(0);
    expect(plainLines(Buffer.from('\r\n'.repeat(20) + '.'.repeat(9_000)), 24)).toBe(0);
  });

  it('painted to another terminal, goes on there as it would have', () => {
    fc.assert(
      fc.property(programOutput, programOutput, programOutput, (before, other, then) => {
        const [screen, copy] = [new Screen(20, 6), new Screen(20, 6)];
        screen.feed(Buffer.from(before));
        copy.feed(Buffer.from(other));
        copy.feed(Buffer.from(paint(screen, copy.isAlternate)));
        expect(paint(copy)).toBe(paint(screen));
        for (const one of [screen, copy]) one.feed(Buffer.from(withoutRepeat(then)));
        expect(textOf(copy)).toEqual(textOf(screen));
      }),
      { numRuns: 500 },
    );
  });
});
