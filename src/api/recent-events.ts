import type { Position, Recorded } from '../log/event.ts';

/** The newest events of a partition, up to a number of bytes. Positions have no gaps. */
export class RecentEvents {
  readonly #maxBytes: number;
  /** Those before `#gone` are dropped; the array is cut from time to time, not with each of them. */
  #held: { readonly event: Recorded; readonly bytes: number }[] = [];
  #gone = 0;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(event: Recorded): void {
    const bytes = bytesOf(event);
    this.#held.push({ event, bytes });
    this.#bytes += bytes;
    while (this.#bytes > this.#maxBytes) {
      this.#bytes -= this.#held[this.#gone]?.bytes ?? 0;
      this.#gone++;
    }
    if (2 * this.#gone <= this.#held.length) return;
    this.#held = this.#held.slice(this.#gone);
    this.#gone = 0;
  }

  /** Undefined when it is not held. */
  at(position: Position): Recorded | undefined {
    const first = this.#held[0]?.event.position;
    if (first === undefined) return undefined;
    const index = position - first;
    return index < this.#gone ? undefined : this.#held[index]?.event;
  }

  clear(): void {
    this.#held = [];
    this.#gone = 0;
    this.#bytes = 0;
  }
}

/** Once as the event, once as the line that is made of it for its followers. */
const bytesOf = (event: Recorded): number => 2 * Buffer.byteLength(JSON.stringify(event));
