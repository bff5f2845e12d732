import type { Readable } from 'node:stream';
import { CodedError } from '../../base/errors.ts';

/** Reads a stream in the pieces a protocol asks for. */
export class ByteReader {
  private readonly chunks: AsyncIterator<Buffer>;
  private left: Buffer = Buffer.alloc(0);

  constructor(stream: Readable) {
    this.chunks = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  /** Undefined at the end of the stream. */
  async byte(): Promise<number | undefined> {
    const [piece] = await this.some(1);
    return piece;
  }

  /** Up to the newline, which is not part of the answer. @throws CodedError `unavailable` at the end or beyond `max`. */
  async line(max: number): Promise<string> {
    const bytes: number[] = [];
    for (;;) {
      const byte = await this.byte();
      if (byte === undefined) throw ended();
      if (byte === 0x0a) return Buffer.from(bytes).toString('utf8');
      if (bytes.push(byte) > max)
        throw new CodedError('unavailable', 'the other side sent a line without an end');
    }
  }

  /** Exactly `size` bytes, in pieces as they come. @throws CodedError `unavailable` when the stream ends before. */
  async *exactly(size: number): AsyncIterable<Buffer> {
    for (let missing = size; missing > 0;) {
      const piece = await this.some(missing);
      if (piece.length === 0) throw ended();
      missing -= piece.length;
      yield piece;
    }
  }

  /** From 1 to `max` bytes; none at the end of the stream. */
  private async some(max: number): Promise<Buffer> {
    while (this.left.length === 0) {
      const next = await this.chunks.next();
      if (next.done === true) return this.left;
      this.left = next.value;
    }
    const piece = this.left.subarray(0, max);
    this.left = this.left.subarray(piece.length);
    return piece;
  }
}

const ended = (): CodedError => new CodedError('unavailable', 'the other side ended the copy too early');
