import { allowedParameters, isAllowedControl, isAllowedEscape } from './allowed.ts';
import { columnsOf } from './character-width.ts';
import {
  type ControlHandler,
  ControlParser,
  type ControlSequence,
  type ParserState,
  startOfInput,
} from './control-parser.ts';
import { wideTail } from './grid.ts';
import { plainLines } from './plain-lines.ts';
import { ascii, ScreenState } from './screen-state.ts';
import { carryOut, repeat } from './sequences.ts';

const graphics = 0x30;
/** What 0x5f to 0x7e are in the set of line drawing of the VT100. */
const drawn = Array.from('\u00a0◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·');

/**
 * What a terminal shows, computed: of output that `SafeOutput` lets through, everything else is passed over.
 * Takes a stream in pieces of any size. `paint` writes it for another terminal.
 */
export class Screen extends ScreenState implements ControlHandler {
  #parser: ControlParser;
  /** The last character, for REP; 0 after anything else. */
  #last = 0;

  constructor(columns: number, rows: number, from: ParserState = startOfInput) {
    super(columns, rows);
    this.#parser = new ControlParser(this, from);
  }

  /** Where it is in its input. */
  get input(): ParserState {
    return this.#parser.state;
  }

  /** Goes on from another place of the stream, where `paint` gave it what is shown there. */
  moveTo(state: ParserState): void {
    this.#parser = new ControlParser(this, state);
    this.#last = 0;
  }

  feed(bytes: Uint8Array): void {
    let at = 0;
    if (this.#parser.isBetween && this.grid.top === 0 && this.grid.bottom === this.grid.rows - 1) {
      at = plainLines(bytes, this.grid.rows);
      if (at > 0) this.grid.moveTo(0, this.grid.rows - 1); // all that is shown now is gone before the end
    }
    this.#parser.feed(at === 0 ? bytes : bytes.subarray(at));
  }

  text(bytes: Uint8Array, from: number, to: number): void {
    let at = from;
    while (at < to) {
      const first = bytes[at] ?? 0;
      if (first < 0x80) at = this.#putAscii(bytes, at, to);
      else {
        const size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
        this.put(decode(bytes, at, size));
        at += size;
      }
    }
  }

  /** As many as fit into the line, at least one. Returns where to go on. */
  #putAscii(bytes: Uint8Array, from: number, to: number): number {
    const { grid } = this;
    if (this.sets[this.shift] !== ascii || this.inserts || grid.x >= grid.columns) {
      this.put(this.#inSet(bytes[from] ?? 0));
      return from + 1;
    }
    const line = grid.line(grid.y);
    const end = Math.min(to, from + grid.columns - grid.x);
    grid.split(line, grid.x);
    let at = from;
    let byte = bytes[at] ?? 0;
    while (at < end && byte < 0x80) {
      grid.set(line, grid.x++, byte);
      byte = bytes[++at] ?? 0;
    }
    grid.dropTail(line, grid.x);
    this.#last = bytes[at - 1] ?? 0;
    return at;
  }

  #inSet(byte: number): number {
    const set = this.sets[this.shift];
    if (set === graphics && byte >= 0x5f) return drawn[byte - 0x5f]?.codePointAt(0) ?? byte;
    return set === 0x41 && byte === 0x23 ? 0xa3 : byte;
  }

  /** One character, where the cursor is. */
  put(code: number): void {
    const { grid } = this;
    const columns = columnsOf(code);
    if (columns === 0) {
      grid.addMark(code);
      return;
    }
    this.#last = code;
    if (grid.x + columns > grid.columns) {
      if (this.wraps) {
        grid.x = 0;
        grid.lineFeed();
      } else grid.x = grid.columns - columns;
    }
    const line = grid.line(grid.y);
    if (this.inserts) grid.insertBlanks(columns);
    grid.split(line, grid.x);
    grid.set(line, grid.x++, code);
    if (columns === 2) grid.set(line, grid.x++, wideTail);
    grid.dropTail(line, grid.x);
  }

  #repeat(count: number): void {
    const code = this.#last;
    if (code !== 0) for (let i = 0; i < count; i++) this.put(code);
  }

  control(byte: number): void {
    if (!isAllowedControl(byte)) return;
    this.#last = 0;
    const { grid } = this;
    if (byte >= 0x0a && byte <= 0x0c) grid.lineFeed();
    else if (byte === 0x0d) grid.x = 0;
    else if (byte === 0x08) grid.x = Math.max(0, grid.column - 1);
    else if (byte === 0x09) this.tab(1);
    else if (byte === 0x0e || byte === 0x0f) this.shift = byte === 0x0e ? 1 : 0;
  }

  escape(intermediate: number, final: number): void {
    this.#last = 0;
    if (!isAllowedEscape(intermediate, final)) return;
    if (intermediate === 0x28) this.sets[0] = final;
    else if (intermediate === 0x29) this.sets[1] = final;
    else if (intermediate === 0) this.#plainEscape(final);
    else this.#alignmentPattern();
  }

  #plainEscape(final: number): void {
    const { grid } = this;
    switch (final) {
      case 0x37:
        this.saveCursor();
        return;
      case 0x38:
        this.restoreCursor();
        return;
      case 0x45:
        grid.x = 0;
        grid.lineFeed();
        return;
      case 0x44:
        grid.lineFeed();
        return;
      case 0x48:
        this.tabs[grid.column] = 1;
        return;
      case 0x4d:
        grid.reverseLineFeed();
        return;
      default:
        this.reset();
    }
  }

  #alignmentPattern(): void {
    const { grid } = this;
    for (const line of grid.lines) for (let x = 0; x < grid.columns; x++) grid.set(line, x, 0x45);
    grid.top = 0;
    grid.bottom = grid.rows - 1;
    grid.moveTo(0, 0);
  }

  sequence(sequence: ControlSequence): void {
    const params = allowedParameters(sequence);
    if (params !== undefined && sequence.final === repeat) this.#repeat(Math.max(1, params[0] ?? 1));
    else if (params !== undefined) carryOut(this, sequence, params);
    this.#last = 0;
  }
}

/** @param size bytes of the character, which was checked. */
function decode(bytes: Uint8Array, at: number, size: number): number {
  const first = bytes[at] ?? 0;
  let code = first & (0xff >> (size + 1));
  for (let i = 1; i < size; i++) code = (code << 6) | ((bytes[at + i] ?? 0) & 0x3f);
  return code;
}
