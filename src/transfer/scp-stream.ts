import type { Readable, Writable } from 'node:stream';
import { CodedError } from '../base/errors.ts';
import { protocolFault } from './scp-record.ts';

const MAX_LINE = 16 * 1024;

/**
 * The two directions of a copy: lines, bytes, and the replies of one byte between them. Every failure of the
 * stream is a CodedError. Source: the rcp protocol, as used by scp -t and scp -f.
 */
export class ScpStream {
  /** Failures of single files, here or at the other side, during the copy. */
  readonly complaints: string[] = [];
  /** Whether the other side has announced the end. */
  ended = false;
  readonly #input: AsyncIterator<Buffer, undefined>;
  readonly #output: Writable;
  #buffer: Buffer = Buffer.alloc(0);
  #failure: Error | undefined;

  constructor(input: Readable, output: Writable) {
    this.#input = input[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
    this.#output = output;
    output.on('error', (e: Error) => {
      this.#failure = e;
    });
  }

  /** Resolves when the stream has accepted the bytes: it is never filled beyond its window. */
  write(bytes: Buffer | string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#output.destroyed) {
        reject(this.#lost());
        return;
      }
      this.#output.write(bytes, (e) => {
        if (e) reject(this.#lost());
        else resolve();
      });
    });
  }

  /** Sends "go on". */
  acknowledge(): Promise<void> {
    return this.write(Buffer.of(0));
  }

  /** Reports to the other side what went wrong with one file; it may continue with the next. */
  async complain(text: string): Promise<void> {
    this.complaints.push(text);
    await this.write(`\x01scp: ${text.replaceAll('\n', ' ')}\n`);
  }

  /**
   * Waits for "go on". False when the other side refused this one file and continues.
   * @throws CodedError `unavailable` when it gave up, or has gone.
   */
  async acknowledged(): Promise<boolean> {
    if (this.#buffer.length === 0 && !(await this.#more())) throw endedEarly();
    if (this.#buffer[0] === 0) {
      this.#buffer = this.#buffer.subarray(1);
      return true;
    }
    this.#keepComplaint((await this.line()) ?? '');
    return false;
  }

  /**
   * The next line that is not a complaint, without its newline; undefined when the other side has ended.
   * @throws CodedError `unavailable` when the line is cut off, or the other side gave up.
   */
  async record(): Promise<string | undefined> {
    for (;;) {
      const line = await this.line();
      if (line === undefined || !/^[\x01\x02]/.test(line)) return line;
      this.#keepComplaint(line);
    }
  }

  /**
   * A line without its newline; undefined when the other side has ended. @throws CodedError `unavailable`
   * when it is cut off.
   */
  async line(): Promise<string | undefined> {
    for (;;) {
      const at = this.#buffer.indexOf(10);
      if (at >= 0) {
        const line = this.#buffer.subarray(0, at).toString('utf8');
        this.#buffer = this.#buffer.subarray(at + 1);
        return line;
      }
      if (this.#buffer.length > MAX_LINE) throw protocolFault('it sent a line without an end');
      if (await this.#more()) continue;
      if (this.#buffer.length > 0) throw endedEarly();
      return undefined;
    }
  }

  /**
   * The next `size` bytes, in pieces as they come. @throws CodedError `unavailable` when the stream ends
   * before.
   */
  async *bytes(size: number): AsyncGenerator<Buffer> {
    for (let left = size; left > 0;) {
      if (this.#buffer.length === 0 && !(await this.#more())) throw endedEarly();
      const piece = this.#buffer.subarray(0, left);
      this.#buffer = this.#buffer.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }

  end(): void {
    this.#output.end();
  }

  /** @throws CodedError `unavailable` with the text of the line, unless the other side continues after it. */
  #keepComplaint(line: string): void {
    const text = line.replace(/^[\x01\x02]/, '');
    if (!line.startsWith('\x01')) throw new CodedError('unavailable', text);
    this.complaints.push(text);
  }

  #lost(): CodedError {
    return this.#failure instanceof CodedError ? this.#failure : endedEarly(this.#failure);
  }

  async #more(): Promise<boolean> {
    const next = await this.#input.next();
    if (next.done === true) {
      this.ended = true;
      return false;
    }
    this.#buffer = this.#buffer.length === 0 ? next.value : Buffer.concat([this.#buffer, next.value]);
    return true;
  }
}

const endedEarly = (cause?: Error): CodedError =>
  new CodedError('unavailable', 'the other side ended the copy too early', { cause });
