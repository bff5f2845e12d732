import type { Batch } from './batch.ts';

/** The newest batches, decoded, up to so many stored bytes: what most readers want next. */
export class RecentBatches {
  readonly #maxBytes: number;
  readonly #bySlot = new Map<number, Batch>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(batch: Batch): void {
    this.#bySlot.set(batch.slot, batch);
    this.#bytes += batch.bytes;
    for (const [slot, oldest] of this.#bySlot) {
      if (this.#bytes <= this.#maxBytes || slot === batch.slot) break;
      this.#bySlot.delete(slot);
      this.#bytes -= oldest.bytes;
    }
  }

  get(slot: number): Batch | undefined {
    return this.#bySlot.get(slot);
  }

  forgetBefore(slot: number): void {
    for (const [one, batch] of this.#bySlot) {
      if (one >= slot) continue;
      this.#bySlot.delete(one);
      this.#bytes -= batch.bytes;
    }
  }

  clear(): void {
    this.#bySlot.clear();
    this.#bytes = 0;
  }
}
