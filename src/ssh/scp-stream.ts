import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { ScpFault } from './scp-record.ts';

const MAX_LINE = 16 * 1024;

/** The two directions of a copy: lines, bytes, and the one-byte answers between them. */
export class ScpStream {
  readonly #input: AsyncIterator<Buffer, undefined>;
  readonly #output: Writable;
  #buffer: Buffer = Buffer.alloc(0);

  constructor(input: Readable, output: Writable) {
    this.#input = input[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
    this.#output = output;
  }

  async write(data: Buffer | string): Promise<void> {
    if (this.#output.destroyed) throw new ScpFault('lost connection');
    if (!this.#output.write(data)) await once(this.#output, 'drain');
  }

  async acknowledge(): Promise<void> {
    await this.write(Buffer.of(0));
  }

  /** Tells the other side what went wrong with one file; it may go on with the next. */
  async complain(message: string): Promise<void> {
    await this.write(`\x01scp: ${message.replaceAll('\n', ' ')}\n`);
  }

  /** A line without its newline; undefined when the other side has ended. @throws ScpFault when it is cut off. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const at = this.#buffer.indexOf(10);
      if (at >= 0) {
        const line = this.#buffer.subarray(0, at).toString('utf8');
        this.#buffer = this.#buffer.subarray(at + 1);
        return line;
      }
      if (this.#buffer.length > MAX_LINE) throw new ScpFault('protocol error: line too long');
      if (!(await this.#more())) {
        if (this.#buffer.length > 0) throw new ScpFault('lost connection');
        return undefined;
      }
    }
  }

  /** The next `size` bytes, in pieces. @throws ScpFault when they do not come. */
  async *bytes(size: number): AsyncGenerator<Buffer> {
    for (let left = size; left > 0;) {
      if (this.#buffer.length === 0 && !(await this.#more())) throw new ScpFault('lost connection');
      const piece = this.#buffer.subarray(0, left);
      this.#buffer = this.#buffer.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }

  /**
   * Reads one answer. Resolves to undefined for "go on", or to the complaint of the other side.
   * @throws ScpFault when it gives up or has gone.
   */
  async answer(): Promise<string | undefined> {
    if (this.#buffer.length === 0 && !(await this.#more())) throw new ScpFault('lost connection');
    const code = this.#buffer[0];
    this.#buffer = this.#buffer.subarray(1);
    if (code === 0) return undefined;
    const message = (await this.line()) ?? '';
    if (code === 1) return message;
    throw new ScpFault(message === '' ? 'the other side gave up' : message);
  }

  async #more(): Promise<boolean> {
    const next = await this.#input.next();
    if (next.done === true) return false;
    this.#buffer = this.#buffer.length === 0 ? next.value : Buffer.concat([this.#buffer, next.value]);
    return true;
  }
}
