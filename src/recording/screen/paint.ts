import { cellSize, type Grid, type Line, wideTail } from './grid.ts';
import { type Pen, plainPen, sgrOf } from './pen.ts';
import { ascii, type SavedCursor, type ScreenState as Screen } from './screen-state.ts';

/** Puts a terminal into the state from which every picture begins: a blank screen, no modes. */
const begin = '\x1b[?5l\x1b[?25l\x1b[?6l\x1b[?7h\x1b[4l\x1b(B\x1b)B\x0f\x1b[r\x1b[m\x1b[H\x1b[2J';

/**
 * What a terminal has to be sent to show this screen, and to go on from there as the program's terminal
 * would: also margins, modes, sets and saved cursors are the same then. Only REP finds nothing to repeat.
 * @param isAlternate whether that terminal shows its other screen now.
 */
export function paint(screen: Screen, isAlternate = false): string {
  const { grid } = screen;
  const parts = [isAlternate ? '\x1b[?1047l' : '', begin, tabsOf(screen)];
  if (screen.isAlternate) {
    parts.push(linesOf(screen.hidden, grid), saved(screen.savedOther, grid));
    parts.push('\x1b[?6l\x1b[?1047h\x1b[m\x1b[H\x1b[2J');
  }
  parts.push(linesOf(grid.lines, grid), saved(screen.saved, grid), modesOf(screen), cursorOf(screen));
  return parts.join('');
}

/** Always all of them: that terminal may have others. */
function tabsOf({ tabs }: Screen): string {
  const stops = Array.from(tabs.entries()).filter(([, stop]) => stop === 1);
  return `\x1b[3g${stops.map(([x]) => `\x1b[${x + 1}G\x1bH`).join('')}`;
}

function linesOf(lines: readonly Line[], grid: Grid): string {
  let text = '';
  lines.forEach((line, y) => {
    const content = lineOf(line, grid.columns);
    if (content !== '') text += `\x1b[${y + 1};1H${content}`;
  });
  return text;
}

/** A plain blank that was written looks like a cell that was not. */
const isBlank = ({ cells, marks }: Line, x: number): boolean =>
  (cells[x * cellSize] === 0 || cells[x * cellSize] === 0x20) &&
  cells[x * cellSize + 2] === 0 &&
  cells[x * cellSize + 3] === 0 &&
  marks?.has(x) !== true;

const penOf = ({ cells }: Line, x: number): Pen => ({
  foreground: cells[x * cellSize + 1] ?? 0,
  background: cells[x * cellSize + 2] ?? 0,
  flags: cells[x * cellSize + 3] ?? 0,
});

/**
 * The first columns of a line, to be written into a blank one with the plain pen, with which it ends. A
 * character that does not fit whole is left out.
 */
export function lineOf(line: Line, columns: number): string {
  const { cells } = line;
  let text = '';
  let drawn = sgrOf(plainPen());
  let skipped = 0;
  for (let x = 0; x < columns; x++) {
    const code = cells[x * cellSize] ?? 0;
    if (code === wideTail) continue;
    if (isBlank(line, x) || (x === columns - 1 && cells[(x + 1) * cellSize] === wideTail)) {
      skipped++;
      continue;
    }
    if (skipped > 0) text += `\x1b[${skipped}C`;
    skipped = 0;
    const sgr = sgrOf(penOf(line, x));
    if (sgr !== drawn) text += sgr;
    drawn = sgr;
    text += characterOf(line, x);
  }
  return drawn === sgrOf(plainPen()) ? text : `${text}\x1b[m`;
}

function characterOf({ cells, marks }: Line, x: number): string {
  const code = cells[x * cellSize] ?? 0;
  return String.fromCodePoint(code === 0 ? 0x20 : code) + (marks?.get(x) ?? '');
}

/** Where a terminal returns to that never saved its cursor. */
const neverSaved: SavedCursor = {
  x: 0,
  y: 0,
  pen: plainPen(),
  sets: [ascii, ascii],
  shift: 0,
  isOrigin: false,
};

function saved(cursor: SavedCursor | undefined, grid: Grid): string {
  const { x, y, pen, sets, shift, isOrigin } = cursor ?? neverSaved;
  // The margins are set later: while they are all of the screen, the origin changes no place.
  const at = `\x1b[${y + 1};${Math.min(x, grid.columns - 1) + 1}H`;
  const origin = isOrigin ? '\x1b[?6h' : '';
  return `${origin}${setsOf(sets, shift)}${sgrOf(pen)}${at}\x1b7\x1b[?6l${setsOf(neverSaved.sets, 0)}\x1b[m`;
}

const setsOf = (sets: readonly [number, number], shift: 0 | 1): string =>
  `\x1b(${String.fromCharCode(sets[0])}\x1b)${String.fromCharCode(sets[1])}${shift === 1 ? '\x0e' : '\x0f'}`;

function modesOf({ grid, isReversed }: Screen): string {
  const isWhole = grid.top === 0 && grid.bottom === grid.rows - 1;
  return (isWhole ? '' : `\x1b[${grid.top + 1};${grid.bottom + 1}r`) + (isReversed ? '\x1b[?5h' : '');
}

function cursorOf({ grid, isOrigin, wraps, inserts, sets, shift, isCursorHidden }: Screen): string {
  const y = grid.y + 1 - (isOrigin ? grid.top : 0);
  const place = (x: number): string => `\x1b[${y};${x + 1}H`;
  const at = isWrapDue(grid) ? place(lastStart(grid)) + lastCharacter(grid) : place(grid.column);
  return [
    isOrigin ? '\x1b[?6h' : '',
    at,
    wraps ? '' : '\x1b[?7l',
    inserts ? '\x1b[4h' : '',
    setsOf(sets, shift),
    sgrOf(grid.pen),
    isCursorHidden ? '' : '\x1b[?25h',
  ].join('');
}

const isWrapDue = ({ x, columns }: Grid): boolean => x >= columns;

/** The column where the last character of the line begins. */
const lastStart = (grid: Grid): number =>
  grid.columns - (grid.line(grid.y).cells[(grid.columns - 1) * cellSize] === wideTail ? 2 : 1);

/** Written again, so that the terminal is about to wrap. */
function lastCharacter(grid: Grid): string {
  const line = grid.line(grid.y);
  const x = lastStart(grid);
  return sgrOf(penOf(line, x)) + characterOf(line, x);
}

/** The screen as text, a string a line, without blanks at the ends. */
export function textOf({ grid }: Screen): string[] {
  return grid.lines.map((line) => {
    let text = '';
    for (let x = 0; x < grid.columns; x++)
      if (line.cells[x * cellSize] !== wideTail) text += characterOf(line, x);
    return text.trimEnd();
  });
}
