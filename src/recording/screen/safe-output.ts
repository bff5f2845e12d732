import { allowedParameters, isAllowedControl, isAllowedEscape } from './allowed.ts';
import { ByteSink } from './byte-sink.ts';
import {
  type ControlHandler,
  ControlParser,
  type ControlSequence,
  type ParserState,
  startOfInput,
} from './control-parser.ts';

/** What a terminal is left in that has to be undone. */
export interface Left {
  /** It shows its other screen. */
  readonly isAlternate: boolean;
  /** Margins or the origin of the cursor may be set; to undo that moves the cursor. */
  readonly movesHome: boolean;
}
const [esc, resetAll] = [0x1b, 0x63];
const alternates: ReadonlySet<number> = new Set([47, 1047, 1049]);

/**
 * Output of a recorded program as it may reach a terminal: what is allowed, written in its shortest form, so
 * that no terminal reads it in another way than we do. Takes a stream in pieces of any size.
 */
export class SafeOutput implements ControlHandler {
  #parser: ControlParser;
  readonly #out = new ByteSink();
  #left: { -readonly [K in keyof Left]: Left[K] } = { isAlternate: false, movesHome: false };

  constructor(from: ParserState = startOfInput) {
    this.#parser = new ControlParser(this, from);
  }

  feed(bytes: Uint8Array): Buffer {
    this.#parser.feed(bytes);
    return this.#out.take();
  }

  /** Where it is in its input. */
  get state(): ParserState {
    return this.#parser.state;
  }

  /** What of it is in force in the terminal now. */
  get left(): Left {
    return this.#left;
  }

  /** Goes on from another place of the stream, where the terminal was told what it shows there. */
  moveTo(state: ParserState, left: Left): void {
    this.#parser = new ControlParser(this, state);
    this.#left = { ...left };
  }

  text(bytes: Uint8Array, from: number, to: number): void {
    this.#out.copy(bytes, from, to);
  }

  control(byte: number): void {
    if (isAllowedControl(byte)) this.#out.add(byte);
  }

  escape(intermediate: number, final: number): void {
    if (!isAllowedEscape(intermediate, final)) return;
    if (intermediate === 0 && final === resetAll) {
      this.#left = { isAlternate: false, movesHome: false };
      this.#out.copy(resetPicture, 0, resetPicture.length);
      return;
    }
    this.#out.add(esc);
    if (intermediate !== 0) this.#out.add(intermediate);
    this.#out.add(final);
  }

  sequence(sequence: ControlSequence): void {
    const params = allowedParameters(sequence);
    if (params === undefined) return;
    this.#note(sequence, params);
    this.#write(sequence, params);
  }

  #write({ prefix, intermediate, final, colons }: ControlSequence, params: readonly number[]): void {
    const out = this.#out;
    out.add(esc);
    out.add(0x5b);
    if (prefix !== 0) out.add(prefix);
    for (let i = 0; i < params.length; i++) {
      if (i > 0) out.add((colons & (1 << i)) === 0 ? 0x3b : 0x3a);
      const value = params[i] ?? -1;
      if (value >= 0) out.addNumber(value);
    }
    if (intermediate !== 0) out.add(intermediate);
    out.add(final);
  }

  /** What a terminal is to be told at the end, so that nothing of the recording stays in force there. */
  restoring(): string {
    const { isAlternate, movesHome } = this.#left;
    return (
      (isAlternate ? '\x1b[?1049l' : '') +
      '\x1b[4l\x1b[?5l\x1b[?7h\x1b[?25h\x1b(B\x1b)B\x0f\x1b[m' +
      // Both move the cursor: it goes below everything.
      (movesHome ? '\x1b[?6l\x1b[r\x1b[999;1H' : '')
    );
  }

  #note({ prefix, final }: ControlSequence, params: readonly number[]): void {
    const [isSet, isReset] = [final === 0x68, final === 0x6c];
    if (prefix === 0x3f && (isSet || isReset)) {
      if (params.some((one) => alternates.has(one))) this.#left.isAlternate = isSet;
      if (isSet && params.includes(6)) this.#left.movesHome = true;
    }
    if (prefix === 0 && final === 0x72) this.#left.movesHome = true;
  }
}

/** Instead of RIS, which makes a terminal forget its own settings and scrollback. */
const resetPicture = Buffer.from('\x1b[?1049l\x1b[!p\x1b[?5l\x1b[?7h\x1b(B\x1b)B\x0f\x1b[m\x1b[H\x1b[2J');
