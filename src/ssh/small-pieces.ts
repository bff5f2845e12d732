/** Smaller ones are gathered. */
const small = 1024;

/**
 * Gathers small pieces that come in one turn of the event loop into one of their own memory. Each piece that
 * waits unread costs some hundred bytes extra, and keeps the packet that it came in alive: a window of single
 * bytes would need a hundred times its size.
 */
export class SmallPieces {
  readonly #pass: (data: Buffer) => void;
  #waiting: Buffer[] = [];
  #bytes = 0;

  constructor(pass: (data: Buffer) => void) {
    this.#pass = pass;
  }

  /** Bytes that were added and not passed on yet. */
  get bytes(): number {
    return this.#bytes;
  }

  take(data: Buffer): void {
    if (data.length >= small) {
      this.flush();
      this.#pass(data);
      return;
    }
    this.#waiting.push(data);
    this.#bytes += data.length;
    if (this.#waiting.length === 1)
      process.nextTick(() => {
        this.flush();
      });
  }

  /** Passes on what waits, in the order of arrival. */
  flush(): void {
    if (this.#bytes === 0) return;
    const data = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#bytes = 0;
    this.#pass(data);
  }
}
