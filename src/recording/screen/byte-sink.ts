/** Below this, bytes are copied one by one: a call costs more. */
const short = 24;

/** Collects bytes that come in many small pieces. */
export class ByteSink {
  #bytes = new Uint8Array(1_024);
  #length = 0;

  add(byte: number): void {
    if (this.#length === this.#bytes.length) this.#makeRoom(1);
    this.#bytes[this.#length++] = byte;
  }

  copy(from: Uint8Array, start: number, end: number): void {
    const size = end - start;
    if (this.#length + size > this.#bytes.length) this.#makeRoom(size);
    if (size > short) this.#bytes.set(from.subarray(start, end), this.#length);
    else for (let i = 0; i < size; i++) this.#bytes[this.#length + i] = from[start + i] ?? 0;
    this.#length += size;
  }

  /** In decimal. @param value a natural number. */
  addNumber(value: number): void {
    if (value >= 10) this.addNumber(Math.floor(value / 10));
    this.add(0x30 + (value % 10));
  }

  /** Everything since it was taken before. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    return taken;
  }

  #makeRoom(size: number): void {
    const larger = new Uint8Array(2 * (this.#bytes.length + size));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}
