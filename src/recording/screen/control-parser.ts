/*
 * What a program writes to a terminal, taken apart: text, control characters, sequences. The states are those
 * of ECMA-48 as xterm reads it, over UTF-8: C1 controls are the characters U+0080 to U+009F, and mean what
 * ESC with the byte 0x40 lower means. Bytes that are no UTF-8 are U+FFFD.
 */

/** `ESC [` up to its final byte. The object is used again for the next one. */
export interface ControlSequence {
  /** `<`, `=`, `>` or `?` as a byte; 0 without. */
  prefix: number;
  /** The byte between parameters and final byte; 0 without. */
  intermediate: number;
  final: number;
  /** -1 where a number is left out. At least one. */
  params: number[];
  /** Bit n: a colon, and no semicolon, precedes parameter n. */
  colons: number;
}

/** Gets what was read, in order. */
export interface ControlHandler {
  /** Printable characters, whole ones: `bytes` between two places. */
  text(bytes: Uint8Array, from: number, to: number): void;
  /** C0 but ESC, CAN, SUB, NUL. */
  control(byte: number): void;
  /** @param intermediate the byte between ESC and the final one; 0 without. */
  escape(intermediate: number, final: number): void;
  sequence(sequence: ControlSequence): void;
}

/** Where a reader is in its input: what a later one goes on with. */
export interface ParserState {
  readonly mode: number;
  /** The beginning of a character. */
  readonly held: readonly number[];
  readonly sequence: Readonly<Omit<ControlSequence, 'params'>> & { readonly params: readonly number[] };
  readonly previous: number;
}

const ground = 0;
const escaped = 1;
const escapedOn = 2;
const inSequence = 3;
/** A sequence that means nothing to us, up to its final byte. */
const passing = 4;
/** OSC: BEL ends it, too. */
const command = 5;
/** DCS, SOS, PM, APC. */
const string = 6;

const esc = 0x1b;
const mostParams = 32;
const highestParam = 65_535;
const replacement = Buffer.from('\ufffd');

export const startOfInput: ParserState = {
  mode: ground,
  held: [],
  sequence: { prefix: 0, intermediate: 0, final: 0, params: [-1], colons: 0 },
  previous: 0,
};

/** Reads a stream in pieces of any size: what is cut at the end of one goes on in the next. */
export class ControlParser {
  readonly #to: ControlHandler;
  #mode: number;
  #held: Buffer;
  readonly #sequence: ControlSequence;
  #intermediate = 0;
  /** In a string: the byte before, since ST may be two bytes. */
  #previous: number;

  constructor(to: ControlHandler, from: ParserState = startOfInput) {
    this.#to = to;
    this.#mode = from.mode;
    this.#held = Buffer.from(from.held);
    this.#sequence = { ...from.sequence, params: [...from.sequence.params] };
    this.#intermediate = from.sequence.intermediate;
    this.#previous = from.previous;
  }

  get state(): ParserState {
    const { params } = this.#sequence;
    return {
      mode: this.#mode,
      held: [...this.#held],
      sequence: { ...this.#sequence, intermediate: this.#intermediate, params: [...params] },
      previous: this.#previous,
    };
  }

  /** Nothing is half read: what comes next begins something. */
  get isBetween(): boolean {
    return this.#mode === ground && this.#held.length === 0;
  }

  feed(input: Uint8Array): void {
    const bytes = this.#held.length === 0 ? input : Buffer.concat([this.#held, input]);
    if (this.#held.length > 0) this.#held = Buffer.alloc(0);
    let at = 0;
    while (at < bytes.length) at = this.#mode === ground ? this.#readText(bytes, at) : this.#step(bytes, at);
  }

  /** Text up to something else, and that, if it is one byte. Returns where to go on. */
  #readText(bytes: Uint8Array, start: number): number {
    let at = start;
    for (;;) {
      const byte = bytes[at] ?? 0;
      if (byte >= 0x20 && byte < 0x7f) at++;
      else if (byte >= 0x80) {
        const size = characterAt(bytes, at);
        if (size > 0) at += size;
        else return this.#readOddCharacter(bytes, start, { at, size });
      } else break;
    }
    this.#giveText(bytes, start, at);
    if (at < bytes.length) this.#c0(bytes[at++] ?? 0);
    return at;
  }

  #giveText(bytes: Uint8Array, from: number, to: number): void {
    if (to > from) this.#to.text(bytes, from, to);
  }

  /** What is above ASCII and not printable: C1, the beginning of a character, no UTF-8. */
  #readOddCharacter(bytes: Uint8Array, start: number, { at, size }: { at: number; size: number }): number {
    this.#giveText(bytes, start, at);
    if (size === cutShort) {
      this.#held = Buffer.from(bytes.subarray(at));
      return bytes.length;
    }
    if (size === c1) {
      this.#escape((bytes[at + 1] ?? 0) - 0x40);
      return at + 2;
    }
    this.#to.text(replacement, 0, replacement.length);
    return at + 1;
  }

  #c0(byte: number): void {
    if (byte === esc) this.#begin();
    else if (byte !== 0 && byte !== 0x18 && byte !== 0x1a && byte !== 0x7f) this.#to.control(byte);
  }

  #begin(): void {
    this.#mode = escaped;
    this.#intermediate = 0;
  }

  /** One byte of a sequence. */
  #step(bytes: Uint8Array, at: number): number {
    const byte = bytes[at] ?? 0;
    if (byte === esc) this.#begin();
    else if (byte === 0x18 || byte === 0x1a) this.#mode = ground;
    else if (this.#mode >= command) this.#inString(byte);
    else if (byte < 0x20 || byte === 0x7f) this.#c0(byte);
    else if (byte >= 0x80) {
      this.#mode = ground;
      return at;
    } else if (this.#mode >= inSequence) this.#inSequence(byte);
    else this.#inEscape(byte);
    return at + 1;
  }

  #inString(byte: number): void {
    const isEnd = (byte === 0x07 && this.#mode === command) || (byte === 0x9c && this.#previous === 0xc2);
    this.#previous = byte;
    if (isEnd) this.#mode = ground;
  }

  #inEscape(byte: number): void {
    if (byte < 0x30) {
      this.#intermediate = this.#mode === escaped ? byte : tooMany;
      this.#mode = escapedOn;
    } else if (this.#mode === escaped) this.#escape(byte);
    else {
      this.#mode = ground;
      if (this.#intermediate !== tooMany) this.#to.escape(this.#intermediate, byte);
    }
  }

  /** @param final what follows ESC, or C1 less 0x40. */
  #escape(final: number): void {
    this.#mode = ground;
    switch (final) {
      case 0x5b: {
        this.#mode = inSequence;
        this.#intermediate = 0;
        const sequence = this.#sequence;
        sequence.prefix = 0;
        sequence.colons = 0;
        sequence.params.length = 1;
        sequence.params[0] = -1;
        return;
      }
      case 0x5d:
        this.#mode = command;
        this.#previous = 0;
        return;
      case 0x50:
      case 0x58:
      case 0x5e:
      case 0x5f:
        this.#mode = string;
        this.#previous = 0;
        return;
      default:
        this.#to.escape(0, final);
    }
  }

  #inSequence(byte: number): void {
    if (byte >= 0x40) {
      const isKnown = this.#mode === inSequence;
      this.#mode = ground;
      if (!isKnown) return;
      this.#sequence.final = byte;
      this.#sequence.intermediate = this.#intermediate;
      this.#to.sequence(this.#sequence);
    } else if (this.#mode === inSequence && !this.#takesParameter(byte)) this.#mode = passing;
  }

  #takesParameter(byte: number): boolean {
    const sequence = this.#sequence;
    const { params } = sequence;
    if (byte < 0x30) {
      if (this.#intermediate !== 0) return false;
      this.#intermediate = byte;
      return true;
    }
    if (this.#intermediate !== 0) return false;
    const last = params.length - 1;
    if (byte <= 0x39) {
      const value = Math.max(0, params[last] ?? 0) * 10 + byte - 0x30;
      params[last] = Math.min(value, highestParam);
      return true;
    }
    if (byte <= 0x3b) {
      if (params.length === mostParams) return false;
      if (byte === 0x3a) sequence.colons |= 1 << params.length;
      params.push(-1);
      return true;
    }
    if (sequence.prefix !== 0 || last > 0 || params[0] !== -1) return false;
    sequence.prefix = byte;
    return true;
  }
}

const tooMany = 0xff;
const cutShort = 0;
const c1 = -1;
const invalid = -2;

/**
 * The size of the printable character above ASCII that begins there; else what is there: `cutShort`, `c1` or
 * `invalid`. Shortest form only, no surrogates: RFC 3629.
 */
function characterAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  const size = sizeBy(first);
  for (let i = 1; i < size; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return cutShort;
    if (byte < lowest(first, i) || byte > highest(first, i)) return invalid;
  }
  return first === 0xc2 && (bytes[at + 1] ?? 0) < 0xa0 ? c1 : size;
}

function sizeBy(first: number): number {
  if (first < 0xc2 || first > 0xf4) return invalid;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

/** Of the second byte, which depends on the first; of later ones. */
function lowest(first: number, i: number): number {
  if (i === 1 && first === 0xe0) return 0xa0;
  return i === 1 && first === 0xf0 ? 0x90 : 0x80;
}

function highest(first: number, i: number): number {
  if (i === 1 && first === 0xed) return 0x9f;
  return i === 1 && first === 0xf4 ? 0x8f : 0xbf;
}
