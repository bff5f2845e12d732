import { Grid, type Line } from './grid.ts';
import type { Pen } from './pen.ts';

/** Larger ones are taken for as large: a recording must not choose how much memory is used. */
export const mostColumns = 1_024;
export const mostRows = 512;

const within = (value: number, least: number, most: number): number => Math.min(Math.max(value, least), most);

/** DECSC. */
export interface SavedCursor {
  readonly x: number;
  readonly y: number;
  readonly pen: Pen;
  readonly sets: readonly [number, number];
  readonly shift: 0 | 1;
  readonly isOrigin: boolean;
}

/** The set of characters that a terminal begins with. */
export const ascii = 0x42;

/** Everything of a screen but where its input is: lines, cursor, modes. */
export class ScreenState {
  readonly grid: Grid;
  /** The lines of the screen that is not shown. */
  hidden: Line[];
  isAlternate = false;
  saved: SavedCursor | undefined;
  savedOther: SavedCursor | undefined;
  sets: [number, number] = [ascii, ascii];
  shift: 0 | 1 = 0;
  /** The cursor counts from the margins. */
  isOrigin = false;
  wraps = true;
  inserts = false;
  isReversed = false;
  isCursorHidden = false;
  /** One byte a column. */
  tabs: Uint8Array;

  constructor(columns: number, rows: number) {
    this.grid = new Grid(within(columns, 2, mostColumns), within(rows, 1, mostRows));
    this.hidden = this.grid.freshLines();
    this.tabs = defaultTabs(this.grid.columns);
  }

  resize(columns: number, rows: number): void {
    const [newColumns, newRows] = [within(columns, 2, mostColumns), within(rows, 1, mostRows)];
    const tabs = defaultTabs(newColumns);
    tabs.set(this.tabs.subarray(0, newColumns));
    this.tabs = tabs;
    this.grid.resize(newColumns, newRows, [this.hidden]);
  }

  /** To the next stop, or with a negative count to the one before. */
  tab(count: number): void {
    const { grid } = this;
    const step = Math.sign(count);
    let x = grid.column;
    for (let left = Math.min(Math.abs(count), grid.columns); left > 0; left--)
      do x += step;
      while (x > 0 && x < grid.columns - 1 && this.tabs[x] === 0);
    grid.x = within(x, 0, grid.columns - 1);
  }

  saveCursor(): void {
    const { x, y, pen } = this.grid;
    const [g0, g1] = this.sets;
    this.saved = { x, y, pen: { ...pen }, sets: [g0, g1], shift: this.shift, isOrigin: this.isOrigin };
  }

  restoreCursor(): void {
    const { grid, saved } = this;
    grid.pen = saved === undefined ? { foreground: 0, background: 0, flags: 0 } : { ...saved.pen };
    this.sets = saved === undefined ? [ascii, ascii] : [...saved.sets];
    this.shift = saved?.shift ?? 0;
    this.isOrigin = saved?.isOrigin ?? false;
    grid.moveTo(saved?.x ?? 0, saved?.y ?? 0);
  }

  /** Shows the other screen; that one begins blank. */
  showAlternate(isShown: boolean): void {
    if (isShown === this.isAlternate) return;
    this.isAlternate = isShown;
    const { grid } = this;
    [grid.lines, this.hidden] = [isShown ? grid.freshLines() : this.hidden, grid.lines];
    [this.saved, this.savedOther] = [this.savedOther, this.saved];
  }

  /** DECSTR. */
  softReset(): void {
    const { grid } = this;
    this.sets = [ascii, ascii];
    this.shift = 0;
    this.isOrigin = this.inserts = this.isCursorHidden = false;
    this.wraps = true;
    grid.pen = { foreground: 0, background: 0, flags: 0 };
    grid.top = 0;
    grid.bottom = grid.rows - 1;
    this.saved = undefined;
  }

  /** RIS. */
  reset(): void {
    this.showAlternate(false);
    this.softReset();
    this.isReversed = false;
    this.savedOther = undefined;
    this.tabs = defaultTabs(this.grid.columns);
    this.grid.eraseLines(0, this.grid.rows);
    this.grid.moveTo(0, 0);
  }
}

function defaultTabs(columns: number): Uint8Array {
  const tabs = new Uint8Array(columns);
  for (let x = 8; x < columns; x += 8) tabs[x] = 1;
  return tabs;
}
