import { PacketError } from './packet-frame.ts';

/** With its line end. Source: RFC 4253, 4.2. */
const MAX_IDENTIFICATION = 255;
/** What a server may say before it identifies itself (RFC 4253, 4.2 sets no bound); nobody reads it. */
const MAX_GREETING_LINES = 64;
const MAX_GREETING_BYTES = 16 * 1024;
const LINE_FEED = 10;

/**
 * Reads the line with which a peer names its version, and skips the lines that a server may send before it.
 * Holds no more than one line.
 */
export class Identification {
  readonly #mayGreet: boolean;
  #line: Buffer = Buffer.alloc(0);
  #lines = 0;
  #bytes = 0;

  /** `mayGreet`: the peer is a server. Lines of a client before its identification are refused. */
  constructor(mayGreet: boolean) {
    this.#mayGreet = mayGreet;
  }

  /**
   * Takes bytes from `at` (before `end`) up to the end of a line. Returns where it stopped, and the
   * identification with CR LF when it is there. @throws PacketError
   */
  take(chunk: Buffer, at: number, end: number): { at: number; line: Buffer | undefined } {
    const feed = chunk.subarray(at, end).indexOf(LINE_FEED);
    const next = feed < 0 ? end : at + feed + 1;
    const max = this.#mayGreet && !this.#couldBe(chunk, at, next) ? MAX_GREETING_BYTES : MAX_IDENTIFICATION;
    if (this.#line.length + next - at > max)
      throw new PacketError(`the identification is longer than ${max} bytes`);
    this.#line = Buffer.concat([this.#line, chunk.subarray(at, next)]);
    if (feed < 0) return { at: next, line: undefined };
    const text = this.#line.toString('latin1').replace(/\r?\n$/, '');
    this.#line = Buffer.alloc(0);
    if (/^SSH-(?:2\.0|1\.99)-[\x21-\x7e][\x20-\x7e]*$/.test(text))
      return { at: next, line: Buffer.from(`${text}\r\n`, 'latin1') };
    if (text.startsWith('SSH-') || !this.#mayGreet)
      throw new PacketError('this is not an identification of SSH 2.0');
    this.#lines += 1;
    this.#bytes += text.length;
    if (this.#lines > MAX_GREETING_LINES || this.#bytes > MAX_GREETING_BYTES)
      throw new PacketError('the server greets without end');
    return { at: next, line: undefined };
  }

  #couldBe(chunk: Buffer, at: number, next: number): boolean {
    const first = Buffer.concat([this.#line.subarray(0, 4), chunk.subarray(at, Math.min(next, at + 4))]);
    return 'SSH-'.startsWith(first.toString('latin1', 0, 4));
  }
}
