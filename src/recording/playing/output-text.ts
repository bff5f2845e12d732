import { type ControlHandler, ControlParser, type ControlSequence } from '../screen/control-parser.ts';

/** A line is cut here: a recording must not choose how much memory is used. */
export const longestLine = 8_192;
const mostBlanks = 256;

const lineFeed = 0x0a;
const [backspace, tab, verticalTab, formFeed, carriageReturn, nextLine] = [8, 9, 11, 12, 13, 0x45];
const [forward, toColumn] = [0x43, 0x47];
/** The cursor goes to another line, the screen scrolls or is erased: what follows stands elsewhere. */
const elsewhere: ReadonlySet<number> = new Set(Buffer.from('ABEFHJSTadefr', 'latin1'));

/**
 * What a program wrote, as lines of text in the order in which it wrote them: no colours, no control
 * characters. What was typed and erased again is left out where that is seen. Of a program that draws on the
 * whole screen these are the pieces that it drew.
 */
export class OutputText implements ControlHandler {
  readonly #parser = new ControlParser(this);
  #lines: string[] = [];
  #line = '';
  #hasReturned = false;

  feed(bytes: Uint8Array): void {
    this.#parser.feed(bytes);
  }

  /** The line that has not ended. */
  get line(): string {
    return this.#line;
  }

  /** The lines that ended since it was called before. */
  take(): string[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  text(bytes: Uint8Array, from: number, to: number): void {
    this.#startOver();
    this.#line += Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString('utf8');
    while (this.#line.length > longestLine) {
      this.#lines.push(this.#line.slice(0, longestLine));
      this.#line = this.#line.slice(longestLine);
    }
  }

  control(byte: number): void {
    if (byte >= lineFeed && byte <= formFeed) this.#end(byte !== verticalTab);
    else if (byte === carriageReturn) this.#hasReturned = true;
    else if (byte === backspace) this.#line = this.#line.replace(/.$/su, '');
    else if (byte === tab) this.#blank('\t');
  }

  escape(intermediate: number, final: number): void {
    if (intermediate === 0 && final === nextLine) this.#end(true);
  }

  sequence({ prefix, intermediate, final, params }: ControlSequence): void {
    if (prefix !== 0 || intermediate !== 0) return;
    if (elsewhere.has(final)) this.#end(false);
    else if (final === toColumn) this.#startOver();
    else if (final === forward) this.#blank(' '.repeat(Math.min(Math.max(1, params[0] ?? 1), mostBlanks)));
  }

  #blank(blanks: string): void {
    this.#startOver();
    if (this.#line.length + blanks.length <= longestLine) this.#line += blanks;
  }

  /** After a carriage return the line is written again. */
  #startOver(): void {
    if (this.#hasReturned) this.#end(false);
  }

  /** @param alsoEmpty whether an empty line counts as one. */
  #end(alsoEmpty: boolean): void {
    this.#hasReturned = false;
    if (this.#line !== '' || alsoEmpty) this.#lines.push(this.#line.trimEnd());
    this.#line = '';
  }
}
