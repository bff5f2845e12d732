import type { ControlSequence } from './control-parser.ts';

/** How characters are drawn. */
export interface Pen {
  /** 0: the default; else `palette + n` or `direct + 0xRRGGBB`. */
  foreground: number;
  background: number;
  /** Bits of `styles`, and the kind of underline from `underlineShift` on. */
  flags: number;
}

const palette = 0x100_0000;
const direct = 0x200_0000;
const underlineShift = 9;
const underlineMask = 7 << underlineShift;

/** Number in SGR: the bit, and the number that takes it back. */
const styles: readonly (readonly [number, number, number])[] = [
  [1, 1, 22],
  [2, 2, 22],
  [3, 4, 23],
  [5, 8, 25],
  [7, 16, 27],
  [8, 32, 28],
  [9, 64, 29],
  [53, 128, 55],
];
const setBy = new Map(styles.map(([on, bit]) => [on, bit]));
const clearedBy = new Map<number, number>();
for (const [, bit, off] of styles) clearedBy.set(off, (clearedBy.get(off) ?? 0) | bit);

export const plainPen = (): Pen => ({ foreground: 0, background: 0, flags: 0 });

/** SGR: changes the pen. */
export function draw(pen: Pen, { params, colons }: ControlSequence): void {
  let at = 0;
  while (at < params.length) {
    let end = at + 1;
    while (end < params.length && (colons & (1 << end)) !== 0) end++;
    at = drawOne(pen, params, at, end);
  }
}

/** Applies the one at `at`, with what colons bind to it up to `end`. Returns where the next one is. */
function drawOne(pen: Pen, params: readonly number[], at: number, end: number): number {
  const value = Math.max(0, params[at] ?? 0);
  if (value === 38 || value === 48 || value === 58) return drawColour(pen, params, at, end);
  if (value === 0) {
    pen.foreground = pen.background = pen.flags = 0;
    return end;
  }
  if (value === 4 || value === 21 || value === 24) {
    const kind = underlineOf(value, params.slice(at + 1, end));
    pen.flags = (pen.flags & ~underlineMask) | (kind << underlineShift);
    return end;
  }
  pen.flags = (pen.flags | (setBy.get(value) ?? 0)) & ~(clearedBy.get(value) ?? 0);
  drawBasicColour(pen, value);
  return end;
}

function underlineOf(value: number, [given = 1]: readonly number[]): number {
  if (value === 4) return Math.min(Math.max(given, 0), 5);
  return value === 21 ? 2 : 0;
}

function drawBasicColour(pen: Pen, value: number): void {
  if (value >= 30 && value <= 37) pen.foreground = palette + value - 30;
  else if (value >= 90 && value <= 97) pen.foreground = palette + value - 82;
  else if (value === 39) pen.foreground = 0;
  else if (value >= 40 && value <= 47) pen.background = palette + value - 40;
  else if (value >= 100 && value <= 107) pen.background = palette + value - 92;
  else if (value === 49) pen.background = 0;
}

const byte = (value: number | undefined): number => Math.min(Math.max(value ?? 0, 0), 255);
const rgb = (parts: readonly number[]): number =>
  direct + byte(parts[0]) * 0x1_0000 + byte(parts[1]) * 0x100 + byte(parts[2]);

/** `38;5;n`, `38;2;r;g;b`, `38:5:n`, `38:2::r:g:b`, `38:2:r:g:b`. The colour of underlines is passed over. */
function drawColour(pen: Pen, params: readonly number[], at: number, end: number): number {
  const isBound = end > at + 1;
  const kind = params[at + 1];
  let colour: number | undefined;
  let next = end;
  if (kind === 5) {
    colour = palette + byte(params[at + 2]);
    if (!isBound) next = at + 3;
  } else if (kind === 2) {
    const first = isBound && end - at > 5 ? at + 3 : at + 2;
    colour = rgb(params.slice(first, first + 3));
    if (!isBound) next = at + 5;
  } else if (!isBound) next = at + 2;
  if (colour !== undefined && params[at] === 38) pen.foreground = colour;
  if (colour !== undefined && params[at] === 48) pen.background = colour;
  return next;
}

/** The sequence after which a terminal draws so, whatever it did before. */
export function sgrOf({ foreground, background, flags }: Pen): string {
  const parts = ['0'];
  for (const [on, bit] of styles) if ((flags & bit) !== 0) parts.push(String(on));
  const underline = (flags & underlineMask) >> underlineShift;
  if (underline > 0) parts.push(underline === 1 ? '4' : underline === 2 ? '21' : `4:${underline}`);
  if (foreground !== 0) parts.push(colourOf(foreground, 30));
  if (background !== 0) parts.push(colourOf(background, 40));
  return parts.length === 1 ? '\x1b[m' : `\x1b[${parts.join(';')}m`;
}

function colourOf(colour: number, base: 30 | 40): string {
  if (colour >= direct) {
    const value = colour - direct;
    return `${base + 8};2;${value >> 16};${(value >> 8) & 255};${value & 255}`;
  }
  const index = colour - palette;
  if (index < 8) return String(base + index);
  return index < 16 ? String(base + 52 + index) : `${base + 8};5;${index}`;
}
