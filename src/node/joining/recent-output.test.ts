import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { textOf } from '../../recording/screen/paint.ts';
import { Screen } from '../../recording/screen/screen.ts';
import { recentBytes, RecentOutput } from './recent-output.ts';

const size = { columns: 20, rows: 5 };

describe('the last output of a terminal', () => {
  it('is nothing at first', () => {
    const recent = new RecentOutput(size);
    expect([recent.size, textOf(recent.screen()).join('')]).toEqual([size, '']);
  });

  it('shows what all of it shows, in pieces of any size, with sizes in between', () => {
    const piece = fc.oneof(
      fc
        .constantFrom('one\r\n', 'two', '\x1b[2;3Hthree', '\x1b[2J', 'ü', '\x1b[31m', 'x'.repeat(30))
        .map((text) => Buffer.from(text)),
      fc.record({ columns: fc.integer({ min: 2, max: 30 }), rows: fc.integer({ min: 1, max: 8 }) }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.integer({ min: 1, max: 40 }), (pieces, repeats) => {
        const recent = new RecentOutput(size);
        const screen = new Screen(size.columns, size.rows);
        const all = Array.from({ length: repeats }, () => pieces).flat();
        for (const [i, one] of all.entries())
          if (Buffer.isBuffer(one)) {
            recent.add(one);
            screen.feed(one);
          } else {
            recent.resized(one);
            // Of sizes with nothing in between only the last counts.
            if (i === all.length - 1 || Buffer.isBuffer(all[i + 1])) screen.resize(one.columns, one.rows);
          }
        expect(textOf(recent.screen())).toEqual(textOf(screen));
        expect([recent.screen().grid.x, recent.screen().grid.y]).toEqual([screen.grid.x, screen.grid.y]);
      }),
      { numRuns: 60 },
    );
  });

  it('is no more than it may keep, from the begin of a line on', () => {
    const recent = new RecentOutput({ columns: 80, rows: 10 });
    recent.resized(size);
    const line = (n: number) => Buffer.from(`line ${String(n).padStart(8, '0')}\r\n`);
    const lines = Math.ceil((3 * recentBytes) / line(0).length);
    for (let n = 0; n < lines; n++) recent.add(line(n));
    recent.add(Buffer.from('$ '));
    const shown = textOf(recent.screen());
    expect(recent.screen().grid.rows).toBe(5);
    expect(shown).toEqual([
      ...[4, 3, 2, 1].map((back) =>
        line(lines - back)
          .toString()
          .trim(),
      ),
      '$',
    ]);
  });

  it('of which no line ends shows nothing, rather than a part of a sequence', () => {
    const recent = new RecentOutput(size);
    for (let i = 0; i < 3; i++) recent.add(Buffer.alloc(recentBytes, 'x'));
    expect(textOf(recent.screen()).join('')).toBe('');
  });
});
