import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { paint, textOf } from '../screen/paint.ts';
import { programOutput } from '../screen/testing.ts';
import { testAbout } from '../testing.ts';
import { Screen } from '../screen/screen.ts';
import { Pictures } from './pictures.ts';
import { type Happened, output, playedOf } from './testing.ts';

const running = new AbortController().signal;
const mebibyte = 1024 * 1024;
/** So much output that draws on one line alone, and ends with its number there. */
const much = (n: number, bytes: number): string => {
  const one = `\x1b[1;1H\x1b[3${n % 8}mnumber ${n}\x1b[m`;
  return one.repeat(Math.ceil(bytes / one.length));
};

describe('pictures of a session', () => {
  it('give what is shown at any time, as if all before had been played', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(programOutput, { minLength: 1, maxLength: 6 }), fc.nat(), async (all, at) => {
        await using played = await playedOf(...all.map((text, i) => [output(i * 10, text)]));
        const ms = (at % (all.length + 1)) * 10 - 5;
        const screen = new Screen(testAbout.columns, testAbout.rows);
        for (const [i, text] of all.entries()) if (i * 10 <= ms) screen.feed(Buffer.from(text));
        const shown = await new Pictures(played).at(ms);
        expect(shown.isExact).toBe(true);
        expect(textOf(shown.screen)).toEqual(textOf(screen));
      }),
      { numRuns: 40 },
    );
  });

  it('are near wherever much output was indexed, and guesses until then', async () => {
    const groups: Happened[][] = [[output(0, 'first line stays'), output(1, '\x1b[5;1Hfifth')]];
    // A sequence is cut between two chunks.
    for (let n = 1; n <= 60; n++)
      groups.push([output(n * 10, `${n === 1 ? '' : '1;1H'}${much(n, 200 * 1024)}\x1b[`)]);
    await using played = await playedOf(...groups);
    expect(played.outputBefore(61)).toBeGreaterThan(11 * mebibyte);
    const pictures = new Pictures(played);
    const guess = await pictures.at(600);
    expect(guess.isExact).toBe(false);
    expect(textOf(guess.screen)[0]).toBe('number 60');
    let made = 0;
    await pictures.index(running, () => made++);
    expect(made).toBeGreaterThan(3);
    const exact = await pictures.at(600);
    expect([exact.isExact, exact.chunk, exact.frame]).toEqual([true, 60, 1]);
    expect(textOf(exact.screen).slice(0, 5)).toEqual(['number 60e stays', '', '', '', 'fifth']);
    const middle = await pictures.at(305);
    expect([middle.chunk, textOf(middle.screen)[0]]).toEqual([30, 'number 30e stays']);
    expect(paint(middle.screen)).toContain('fifth');
  });

  it('are made no more once nobody wants them', async () => {
    await using played = await playedOf([output(0, 'x')]);
    await new Pictures(played).index(AbortSignal.abort());
  });

  it('follow the size of the terminal', async () => {
    await using played = await playedOf(
      [output(0, 'a')],
      [[5, { type: 'resize', columns: 100, rows: 30 }]],
      [output(9, 'b')],
    );
    const { screen } = await new Pictures(played).at(9);
    expect([screen.grid.columns, screen.grid.rows, textOf(screen)[0]]).toEqual([100, 30, 'ab']);
  });
});
