import { lineOf, paint } from '../screen/paint.ts';
import { SafeOutput } from '../screen/safe-output.ts';
import type { Screen } from '../screen/screen.ts';

/** Columns and rows of a terminal. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** How a session is shown in a terminal: each returns what that is to be sent. */
export interface Display {
  /** Output, which the screen already has. */
  output(bytes: Uint8Array): Uint8Array | string;
  /** What is still to be sent of it, before a pause. */
  settle(screen: Screen): string;
  /** All of the picture, whatever is shown now. */
  show(screen: Screen): string;
  /** Of one line at the bottom, until `show`. @param text printable. */
  notice(text: string, size: Size): string;
  /** At the end, so that nothing of the session stays in force. */
  restoring(): string;
}

const fresh = '\x1b[?6l\x1b[r\x1b[4l\x1b(B\x1b)B\x0f\x1b[m';

function noticeLine(text: string, { columns, rows }: Size): string {
  const line = Array.from(text)
    .slice(0, Math.max(0, columns - 1))
    .join('');
  return `${fresh}\x1b[?25l\x1b[${rows};1H\x1b[7m${line}\x1b[K\x1b[m`;
}

/** For a terminal of the recorded size: it is sent what the program wrote, as far as that is safe. */
export class PassedOn implements Display {
  readonly #safe = new SafeOutput();
  readonly #isRaw: boolean;

  /** @param isRaw what is not safe is sent, too. */
  constructor({ isRaw = false } = {}) {
    this.#isRaw = isRaw;
  }

  output(bytes: Uint8Array): Uint8Array {
    const safe = this.#safe.feed(bytes);
    return this.#isRaw ? bytes : safe;
  }

  settle(): string {
    return '';
  }

  show(screen: Screen): string {
    const painted = paint(screen, this.#safe.left.isAlternate);
    this.#safe.moveTo(screen.input, { isAlternate: screen.isAlternate, movesHome: true });
    return painted;
  }

  notice(text: string, size: Size): string {
    return noticeLine(text, size);
  }

  restoring(): string {
    return this.#safe.restoring();
  }
}

/**
 * For a terminal of another size: it is drawn what the recorded one showed, as far as there is room for it;
 * the line of the cursor always.
 */
export class Drawn implements Display {
  readonly #size: Size;
  #lines: readonly string[] = [];
  #head = '';
  #isShown = false;
  #isDirty = false;

  constructor(size: Size) {
    this.#size = size;
  }

  output(): string {
    this.#isDirty = true;
    return '';
  }

  settle(screen: Screen): string {
    if (!this.#isDirty && this.#isShown) return '';
    return this.#isShown ? this.#draw(screen) : this.show(screen);
  }

  show(screen: Screen): string {
    this.#lines = [];
    this.#head = '';
    this.#isShown = true;
    return `${fresh}\x1b[?7l\x1b[H\x1b[2J${this.#draw(screen)}`;
  }

  notice(text: string, size: Size): string {
    this.#isShown = false;
    return noticeLine(text, size);
  }

  restoring(): string {
    return `${fresh}\x1b[?5l\x1b[?7h\x1b[?25h\x1b[${this.#size.rows};1H`;
  }

  #draw(screen: Screen): string {
    const { grid, isReversed, isCursorHidden } = screen;
    const columns = Math.min(grid.columns, this.#size.columns);
    const first = Math.min(
      Math.max(0, grid.y - this.#size.rows + 1),
      Math.max(0, grid.rows - this.#size.rows),
    );
    const lines = grid.lines.slice(first, first + this.#size.rows).map((line) => lineOf(line, columns));
    const changed = Array.from({ length: Math.max(lines.length, this.#lines.length) }, (_, y) => {
      const line = lines[y] ?? '';
      return line === (this.#lines[y] ?? '') ? '' : `\x1b[${y + 1};1H\x1b[2K${line}`;
    });
    const head = `\x1b[?5${isReversed ? 'h' : 'l'}\x1b[?25${isCursorHidden ? 'l' : 'h'}`;
    const at = `\x1b[${grid.y - first + 1};${Math.min(grid.column, columns - 1) + 1}H`;
    const text = `${head === this.#head ? '' : head}${changed.join('')}${at}`;
    this.#lines = lines;
    this.#head = head;
    this.#isDirty = false;
    return text;
  }
}
