import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { textOf } from '../screen/paint.ts';
import { Screen } from '../screen/screen.ts';
import { forbidden, programOutput } from '../screen/testing.ts';
import { type Display, Drawn, PassedOn } from './display.ts';

const size = { columns: 20, rows: 5 };

/** What a terminal shows that was sent all this. */
function shownIn(terminal: Screen, ...sent: readonly (Uint8Array | string)[]): readonly string[] {
  for (const one of sent) terminal.feed(Buffer.from(one));
  return textOf(terminal);
}

function play(display: Display, session: Screen, text: string): (Uint8Array | string)[] {
  session.feed(Buffer.from(text));
  return [display.output(Buffer.from(text)), display.settle(session)];
}

describe('a session that is drawn in a terminal of another size', () => {
  it('looks as it did, as far as there is room', () => {
    fc.assert(
      fc.property(fc.array(programOutput, { maxLength: 4 }), (pieces) => {
        const [session, terminal, display] = [
          new Screen(20, 6),
          new Screen(30, 9),
          new Drawn({ columns: 30, rows: 9 }),
        ];
        let shown: readonly string[] = shownIn(terminal, display.show(session));
        for (const piece of pieces) shown = shownIn(terminal, ...play(display, session, piece));
        expect(shown.slice(0, 6)).toEqual(textOf(session));
      }),
    );
  });

  it('shows the line of the cursor where it is too large, and cuts lines', () => {
    const [session, terminal, display] = [new Screen(40, 10), new Screen(20, 5), new Drawn(size)];
    const sent = play(display, session, `\x1b[3;1Hthird\x1b[9;1H${'x'.repeat(18)}漢漢y`);
    const shown = shownIn(terminal, ...sent);
    expect(shown[4]).toBe(`${'x'.repeat(18)}漢`);
    expect(terminal.grid.y).toBe(4);
    const odd = play(display, session, `\x1b[9;1H${'x'.repeat(19)}漢y`);
    expect(shownIn(terminal, ...odd)[4]).toBe('x'.repeat(19));
  });

  it('is drawn again where it changed, and wholly after a notice', () => {
    const [session, terminal, display] = [new Screen(30, 4), new Screen(20, 5), new Drawn(size)];
    shownIn(terminal, ...play(display, session, 'one\r\ntwo'));
    const [, more = ''] = play(display, session, '\r\nthree');
    expect(String(more)).not.toContain('one');
    expect(shownIn(terminal, more, display.notice('a notice that is far too long', size))[4]).toBe(
      'a notice that is fa',
    );
    expect(shownIn(terminal, ...play(display, session, '!'))).toEqual(['one', 'two', 'three!', '', '']);
    expect(display.restoring()).toContain('\x1b[?25h');
  });
});

describe('a session that is passed on', () => {
  it('is without what a terminal must not be told, unless it is raw', () => {
    for (const bad of forbidden) {
      const sent = Buffer.from(new PassedOn().output(Buffer.from(`a${bad}b`))).toString();
      expect(sent).not.toContain(bad);
      expect(new PassedOn({ isRaw: true }).output(Buffer.from(bad))).toEqual(Buffer.from(bad));
    }
  });

  it('goes on from any picture, and leaves nothing in force', () => {
    const [session, terminal, display] = [new Screen(20, 5), new Screen(20, 5), new PassedOn()];
    shownIn(terminal, ...play(display, session, '\x1b[?1049h\x1b[2;4r\x1b[31mred'));
    const other = new Screen(20, 5);
    other.feed(Buffer.from('other\x1b[1'));
    shownIn(terminal, display.notice('wait', size), display.show(other));
    expect(terminal.isAlternate).toBe(false);
    expect(shownIn(terminal, ...play(display, other, 'mbold'))[0]).toBe('otherbold');
    shownIn(terminal, ...play(display, other, '\x1b[?1049h\x1b[?25l'), display.restoring());
    expect([terminal.isAlternate, terminal.isCursorHidden]).toEqual([false, false]);
  });
});
