import { type Pen, plainPen } from './pen.ts';

/** A cell is its character (0: none), foreground, background, flags. */
export const cellSize = 4;
/** In place of a character: the cell before has one of two columns. */
export const wideTail = 1;
const mostMarks = 8;

/** One line of a screen. */
export interface Line {
  readonly cells: Uint32Array;
  /** By column: marks that combine with the character there. */
  marks: Map<number, string> | undefined;
}

const newLine = (columns: number): Line => ({
  cells: new Uint32Array(columns * cellSize),
  marks: undefined,
});

/** Lines, a cursor, margins. Places count from 0. */
export class Grid {
  columns: number;
  rows: number;
  lines: Line[];
  /** `columns` after the last column was written: the next character wraps. */
  x = 0;
  y = 0;
  /** First and last line of what scrolls. */
  top = 0;
  bottom: number;
  pen: Pen = plainPen();

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
    this.bottom = rows - 1;
    this.lines = Array.from({ length: rows }, () => newLine(columns));
  }

  freshLines(): Line[] {
    return Array.from({ length: this.rows }, () => this.#blank(newLine(this.columns)));
  }

  line(y: number): Line {
    const line = this.lines[y];
    if (line === undefined) throw new RangeError(`there is no line ${y}`);
    return line;
  }

  /** The column, though a wrap may be due. */
  get column(): number {
    return Math.min(this.x, this.columns - 1);
  }

  moveTo(x: number, y: number): void {
    this.x = Math.min(Math.max(x, 0), this.columns - 1);
    this.y = Math.min(Math.max(y, 0), this.rows - 1);
  }

  /** No wrap is due any more. */
  lineFeed(): void {
    this.x = this.column;
    if (this.y === this.bottom) this.scrollUp(this.top, 1);
    else if (this.y < this.rows - 1) this.y++;
  }

  reverseLineFeed(): void {
    this.x = this.column;
    if (this.y === this.top) this.scrollDown(this.top, 1);
    else if (this.y > 0) this.y--;
  }

  /** Lines from `from` to the bottom margin go up; blank ones come in. */
  scrollUp(from: number, count: number): void {
    const times = Math.min(count, this.bottom - from + 1);
    for (let i = 0; i < times; i++) this.#rotate(from, this.bottom);
  }

  scrollDown(from: number, count: number): void {
    const times = Math.min(count, this.bottom - from + 1);
    for (let i = 0; i < times; i++) this.#rotate(this.bottom, from);
  }

  /** Takes the line at `from` out, and puts it in blank at `to`. */
  #rotate(from: number, to: number): void {
    const { lines } = this;
    const line = this.#blank(this.line(from));
    if (from === 0 && to === lines.length - 1) {
      lines.shift();
      lines.push(line);
    } else {
      lines.copyWithin(Math.min(from, to + 1), Math.min(from + 1, to), Math.max(from, to + 1));
      lines[to] = line;
    }
  }

  #blank(line: Line): Line {
    this.#fill(line, 0, this.columns);
    line.marks = undefined;
    return line;
  }

  #fill({ cells }: Line, from: number, to: number): void {
    cells.fill(0, from * cellSize, to * cellSize);
    const { background } = this.pen;
    if (background !== 0) for (let x = from; x < to; x++) cells[x * cellSize + 2] = background;
  }

  /** Blanks columns `from` up to `to`, and the other half of what is cut. */
  erase(y: number, from: number, to: number): void {
    const line = this.line(y);
    if (to <= from) return;
    this.split(line, from);
    this.split(line, to);
    this.#fill(line, from, to);
    if (line.marks !== undefined)
      for (const x of line.marks.keys()) if (x >= from && x < to) line.marks.delete(x);
  }

  eraseLines(from: number, to: number): void {
    for (let y = from; y < to; y++) this.#blank(this.line(y));
  }

  /** Something begins at this column: a wide character that reaches over it is none any more. */
  split({ cells }: Line, x: number): void {
    if (x <= 0 || x >= this.columns || cells[x * cellSize] !== wideTail) return;
    cells[x * cellSize] = 0;
    cells[(x - 1) * cellSize] = 0;
  }

  /** Something ends before this column: what is left there of a wide character is blank. */
  dropTail({ cells }: Line, x: number): void {
    if (x < this.columns && cells[x * cellSize] === wideTail) cells[x * cellSize] = 0;
  }

  insertBlanks(count: number): void {
    const line = this.line(this.y);
    const x = (this.x = this.column);
    const n = Math.min(count, this.columns - x);
    this.split(line, x);
    this.split(line, this.columns - n);
    line.cells.copyWithin((x + n) * cellSize, x * cellSize, (this.columns - n) * cellSize);
    moveMarks(line, x, n, this.columns);
    this.#fill(line, x, x + n);
  }

  deleteCharacters(count: number): void {
    const line = this.line(this.y);
    const x = (this.x = this.column);
    const n = Math.min(count, this.columns - x);
    this.split(line, x);
    this.split(line, x + n);
    line.cells.copyWithin(x * cellSize, (x + n) * cellSize);
    moveMarks(line, x + n, -n, this.columns);
    this.#fill(line, this.columns - n, this.columns);
  }

  /** Writes a cell as the pen draws. */
  set(line: Line, x: number, code: number): void {
    const { cells } = line;
    const at = x * cellSize;
    cells[at] = code;
    cells[at + 1] = this.pen.foreground;
    cells[at + 2] = this.pen.background;
    cells[at + 3] = this.pen.flags;
    line.marks?.delete(x);
  }

  /** A mark joins the character before the cursor. */
  addMark(code: number): void {
    const line = this.line(this.y);
    let x = this.x - 1;
    if (x > 0 && line.cells[x * cellSize] === wideTail) x--;
    if (x < 0 || (line.cells[x * cellSize] ?? 0) <= wideTail) return;
    const before = line.marks?.get(x) ?? '';
    if (before.length < mostMarks) (line.marks ??= new Map()).set(x, before + String.fromCodePoint(code));
  }

  /** As xterm does it: nothing flows; lines above go where the cursor would be outside. */
  resize(columns: number, rows: number, others: readonly Line[][]): void {
    const above = Math.max(0, this.y - rows + 1);
    for (const lines of [this.lines, ...others]) {
      lines.splice(0, above);
      lines.length = Math.min(lines.length, rows);
      for (const [y, line] of lines.entries()) lines[y] = widened(line, columns);
      while (lines.length < rows) lines.push(newLine(columns));
    }
    this.columns = columns;
    this.rows = rows;
    this.top = 0;
    this.bottom = rows - 1;
    this.moveTo(this.x, this.y - above);
  }
}

function widened(line: Line, columns: number): Line {
  const wide = newLine(columns);
  wide.cells.set(line.cells.subarray(0, columns * cellSize));
  if (line.cells[columns * cellSize] === wideTail) wide.cells[(columns - 1) * cellSize] = 0;
  wide.marks = line.marks;
  for (const x of wide.marks?.keys() ?? []) if (x >= columns) wide.marks?.delete(x);
  return wide;
}

/** Marks of columns from `from` on go `by` columns; those outside, and those that are overrun, go away. */
function moveMarks(line: Line, from: number, by: number, columns: number): void {
  if (line.marks === undefined) return;
  const moved = new Map<number, string>();
  for (const [x, text] of line.marks) {
    if (x < from && (by > 0 || x < from + by)) moved.set(x, text);
    else if (x >= from && x + by < columns) moved.set(x + by, text);
  }
  line.marks = moved;
}
