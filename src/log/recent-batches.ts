import type { Batch } from './batch.ts';

interface Held {
  readonly batch: Batch;
  readonly stored: Uint8Array;
}

/**
 * The newest batches, up to a number of stored bytes: decoded, since most readers want them next; and as they
 * were stored, so that a store that lost them can get them back.
 */
export class RecentBatches {
  readonly #maxBytes: number;
  readonly #bySlot = new Map<number, Held>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(batch: Batch, stored: Uint8Array): void {
    // A copy: the bytes may be part of a page that would be held whole.
    this.#bySlot.set(batch.slot, { batch, stored: Uint8Array.from(stored) });
    this.#bytes += batch.bytes;
    for (const [slot, oldest] of this.#bySlot) {
      if (this.#bytes <= this.#maxBytes || slot === batch.slot) break;
      this.#bySlot.delete(slot);
      this.#bytes -= oldest.batch.bytes;
    }
  }

  get(slot: number): Batch | undefined {
    return this.#bySlot.get(slot)?.batch;
  }

  stored(slot: number): Uint8Array | undefined {
    return this.#bySlot.get(slot)?.stored;
  }

  forgetBefore(slot: number): void {
    for (const [one, { batch }] of this.#bySlot) {
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
