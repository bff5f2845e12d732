import type { ControlSequence } from './control-parser.ts';
import { draw } from './pen.ts';
import type { ScreenState as Screen } from './screen-state.ts';

type Act = (screen: Screen, first: number, params: readonly number[]) => void;

/** A parameter that counts: left out and 0 are 1. */
const count = (value: number | undefined): number => Math.max(1, value ?? 1);

/** To a place that counts from 1, and from the margins where the origin is there. */
function place(screen: Screen, x: number, y: number): void {
  const { grid, isOrigin } = screen;
  if (isOrigin) grid.moveTo(x, Math.min(y + grid.top, grid.bottom));
  else grid.moveTo(x, y);
}

/** Up or down, no further than the margin on the way. */
function vertical(screen: Screen, by: number): void {
  const { grid } = screen;
  const { y, top, bottom } = grid;
  const [least, most] = [y >= top ? top : 0, y <= bottom ? bottom : grid.rows - 1];
  grid.moveTo(grid.column, Math.min(Math.max(y + by, least), most));
}

const horizontal = ({ grid }: Screen, by: number): void => {
  grid.moveTo(grid.column + by, grid.y);
};

const toRow = (screen: Screen, row: number): void => {
  place(screen, screen.grid.column, row - 1);
};

function eraseScreen({ grid }: Screen, kind: number): void {
  const { y, column, columns, rows } = grid;
  if (kind === 0) {
    grid.erase(y, column, columns);
    grid.eraseLines(y + 1, rows);
  } else if (kind === 1) {
    grid.eraseLines(0, y);
    grid.erase(y, 0, column + 1);
  } else if (kind === 2) grid.eraseLines(0, rows);
}

function eraseLine({ grid }: Screen, kind: number): void {
  const { y, column, columns } = grid;
  if (kind === 0) grid.erase(y, column, columns);
  else if (kind === 1) grid.erase(y, 0, column + 1);
  else if (kind === 2) grid.erase(y, 0, columns);
}

const isInMargins = ({ grid: { y, top, bottom } }: Screen): boolean => y >= top && y <= bottom;

function setMargins(screen: Screen, params: readonly number[]): void {
  const { grid } = screen;
  const top = count(params[0]);
  const given = params[1] ?? 0;
  const bottom = given <= 0 ? grid.rows : Math.min(given, grid.rows);
  if (bottom <= top) return;
  grid.top = top - 1;
  grid.bottom = bottom - 1;
  place(screen, 0, 0);
}

const acts: Readonly<Record<string, Act>> = {
  '@': ({ grid }, first) => {
    grid.insertBlanks(count(first));
  },
  A: (screen, first) => {
    vertical(screen, -count(first));
  },
  B: (screen, first) => {
    vertical(screen, count(first));
  },
  C: (screen, first) => {
    horizontal(screen, count(first));
  },
  D: (screen, first) => {
    horizontal(screen, -count(first));
  },
  E: (screen, first) => {
    vertical(screen, count(first));
    screen.grid.x = 0;
  },
  F: (screen, first) => {
    vertical(screen, -count(first));
    screen.grid.x = 0;
  },
  G: ({ grid }, first) => {
    grid.moveTo(count(first) - 1, grid.y);
  },
  H: (screen, first, params) => {
    place(screen, count(params[1]) - 1, count(first) - 1);
  },
  I: (screen, first) => {
    screen.tab(count(first));
  },
  J: (screen, first) => {
    eraseScreen(screen, Math.max(0, first));
  },
  K: (screen, first) => {
    eraseLine(screen, Math.max(0, first));
  },
  L: (screen, first) => {
    if (!isInMargins(screen)) return;
    screen.grid.scrollDown(screen.grid.y, count(first));
    screen.grid.x = 0;
  },
  M: (screen, first) => {
    if (!isInMargins(screen)) return;
    screen.grid.scrollUp(screen.grid.y, count(first));
    screen.grid.x = 0;
  },
  P: ({ grid }, first) => {
    grid.deleteCharacters(count(first));
  },
  S: ({ grid }, first) => {
    grid.scrollUp(grid.top, count(first));
  },
  T: ({ grid }, first) => {
    grid.scrollDown(grid.top, count(first));
  },
  X: ({ grid }, first) => {
    grid.erase(grid.y, grid.column, Math.min(grid.columns, grid.column + count(first)));
  },
  Z: (screen, first) => {
    screen.tab(-count(first));
  },
  d: (screen, first) => {
    toRow(screen, count(first));
  },
  e: (screen, first) => {
    vertical(screen, count(first));
  },
  g: (screen, first) => {
    if (first <= 0) screen.tabs[screen.grid.column] = 0;
    else if (first === 3) screen.tabs.fill(0);
  },
  r: (screen, _, params) => {
    setMargins(screen, params);
  },
  s: (screen) => {
    screen.saveCursor();
  },
  u: (screen) => {
    screen.restoreCursor();
  },
};
const same: Readonly<Record<string, string>> = { '`': 'G', a: 'C', f: 'H' };
const byFinal = new Map(
  [...Object.entries(acts), ...Object.entries(same).map(([name, as]) => [name, acts[as]] as const)].map(
    ([name, act]) => [name.charCodeAt(0), act],
  ),
);

/** REP: of a character, and so not of the state of a screen. */
export const repeat = 0x62;

/** Does what an allowed sequence says, but for REP. @param params those of it that are allowed. */
export function carryOut(screen: Screen, sequence: ControlSequence, params: readonly number[]): void {
  const { final, prefix, intermediate } = sequence;
  if (intermediate !== 0) screen.softReset();
  else if (final === 0x6d) draw(screen.grid.pen, sequence);
  else if (final === 0x68 || final === 0x6c)
    for (const mode of params) setMode(screen, prefix === 0 ? -mode : mode, final === 0x68);
  else byFinal.get(final)?.(screen, params[0] ?? -1, params);
}

/** @param mode one of DEC; negative: of ECMA-48. */
function setMode(screen: Screen, mode: number, isSet: boolean): void {
  switch (mode) {
    case -4:
      screen.inserts = isSet;
      return;
    case 5:
      screen.isReversed = isSet;
      return;
    case 6:
      screen.isOrigin = isSet;
      place(screen, 0, 0);
      return;
    case 7:
      screen.wraps = isSet;
      return;
    case 25:
      screen.isCursorHidden = !isSet;
      return;
    default:
      setScreen(screen, mode, isSet);
  }
}

/** 47, 1047: the other screen. 1048: the cursor is saved. 1049: both. */
function setScreen(screen: Screen, mode: number, isSet: boolean): void {
  const isCursor = mode >= 1048;
  if (isCursor && isSet) screen.saveCursor();
  if (mode !== 1048) screen.showAlternate(isSet);
  if (isCursor && !isSet) screen.restoreCursor();
}
