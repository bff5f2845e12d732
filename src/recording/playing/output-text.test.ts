import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { programOutput } from '../screen/testing.ts';
import { TextFinder } from './find-text.ts';
import { longestLine, OutputText } from './output-text.ts';

function linesOf(...pieces: readonly (string | Uint8Array)[]): string[] {
  const text = new OutputText();
  for (const piece of pieces) text.feed(typeof piece === 'string' ? Buffer.from(piece) : piece);
  return [...text.take(), ...(text.line === '' ? [] : [text.line])];
}

describe('the text of output', () => {
  it('is what was written, in lines, without colours and control characters', () => {
    expect(linesOf('a\x1b[31mb\x1b[0mc\r\n\r\n\x1b]0;TITLE\x07d\te\x07')).toEqual(['abc', '', 'd\te']);
  });

  it('leaves out what was erased, and begins a line where the cursor goes elsewhere', () => {
    expect(linesOf('lss\b \b\b\b\x1b[K')).toEqual([]);
    expect(linesOf('lxs\b\bs')).toEqual(['ls']);
    expect(linesOf('10%\r20%\r\ndone')).toEqual(['10%', '20%', 'done']);
    expect(linesOf('one\x1b[5;1Htwo\x1b[Gthree\x1b[3Cfour')).toEqual(['one', 'twothree   four']);
    expect(linesOf('😀😀\b')).toEqual(['😀']);
  });

  it('is cut where a line is too long', () => {
    expect(linesOf('x'.repeat(longestLine + 5)).map((line) => line.length)).toEqual([longestLine, 5]);
    expect(linesOf('\x1b[65535C'.repeat(500)).join('').length).toBeLessThanOrEqual(longestLine);
  });

  it('is the same however it is cut', () => {
    fc.assert(
      fc.property(programOutput, fc.nat(), (all, at) => {
        const bytes = Buffer.from(all);
        const cut = at % (bytes.length + 1);
        expect(linesOf(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(linesOf(bytes));
      }),
    );
  });
});

describe('a text that is looked for', () => {
  const finder = (wanted: string, ...pieces: readonly string[]) => {
    const one = new TextFinder(wanted);
    return pieces.flatMap((piece, i) => one.feed({ atMs: i, type: 'output', bytes: Buffer.from(piece) }));
  };

  it('is found in any case, over pieces and colours, when it is there', () => {
    expect(finder('Needle', 'a nee', 'd\x1b[1mLE here\r\nmore')).toEqual([
      { atMs: 1, line: 'a needLE here' },
    ]);
  });

  it('is found once in each line, also in one that has not ended', () => {
    expect(finder('x', 'x', 'x', '\r\nx\r\ny\r\n', 'x').map(({ atMs }) => atMs)).toEqual([0, 2, 3]);
  });
});
