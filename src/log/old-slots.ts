import { CodedError, isCoded } from '../base/errors.ts';
import type { Authenticity } from './authenticity.ts';
import { type Batch, linkOf, macFault } from './batch.ts';
import { hashBytes } from './own-hash.ts';
import type { Partition } from './event.ts';
import { keepOver } from './keep-over.ts';
import type { SlotDriver } from './slot-driver.ts';

/** Slots whose hashes are stored together: 128 KB. */
const chunkSlots = 4_096;
/** Chunks in memory. */
const heldChunks = 8;

export const oldSlotsFolder = (partition: Partition): string => `${partition}-old-slots/`;

/**
 * Vouches for single batches before the first one with a MAC. That one's MAC covers all earlier ones, by the
 * chain; but following the chain for each batch that is read would mean reading all of them. So this is done
 * once, and their hashes are kept beside the snapshots, under a MAC. They are made again when they are
 * missing or not sound.
 */
export class OldSlots {
  readonly #options: {
    readonly driver: Pick<SlotDriver, 'read' | 'snapshots'>;
    readonly partition: Partition;
    readonly authenticity: Authenticity;
  };
  #chunks = new Map<number, Buffer>();
  #making: Promise<void> | undefined;
  /** The `from` for which they were made here, or could not be. */
  #madeFrom: number | undefined;

  constructor(options: {
    readonly driver: Pick<SlotDriver, 'read' | 'snapshots'>;
    readonly partition: Partition;
    readonly authenticity: Authenticity;
  }) {
    this.#options = options;
  }

  /**
   * What is wrong with a batch without a MAC; undefined when it is the one that the chain holds there.
   * @param from the first slot that has a MAC: it vouches for those before.
   * @throws CodedError `damaged` when the chain up to there does not hold.
   */
  async fault({ slot, hash }: Pick<Batch, 'slot' | 'hash'>, from: number): Promise<string | undefined> {
    const at = Math.floor(slot / chunkSlots);
    const begin = (slot % chunkSlots) * hashBytes;
    const holds = (chunk: Buffer | undefined): boolean =>
      chunk?.subarray(begin, begin + hashBytes).equals(hash) === true;
    if (holds((await this.#find(at)) ?? (await this.#made(from, at)))) return undefined;
    // They may belong to a branch that a recovery abandoned: the batch that vouched for it is not in the log
    // any more.
    if (holds(await this.#again(from, at))) return undefined;
    return `it is not the batch that slot ${from} vouches for: it was changed since`;
  }

  /** Keeps the hashes, unless they are kept. @throws CodedError as `fault`, and what the store throws. */
  async keep(from: number): Promise<void> {
    if (from <= 1) return;
    const last = Math.floor((from - 1) / chunkSlots);
    if ((await this.#find(last)) === undefined) await this.#made(from, last);
  }

  async #find(at: number): Promise<Buffer | undefined> {
    const held = this.#chunks.get(at);
    if (held) return held;
    const { driver, authenticity } = this.#options;
    const stored = await driver.snapshots.get(this.#key(at));
    if (stored === undefined || stored.length < hashBytes) return undefined;
    const bytes = Buffer.from(stored);
    const chunk = bytes.subarray(hashBytes);
    if (!authenticity.holds('old slots', this.#placed(at, chunk), bytes.subarray(0, hashBytes)))
      return undefined;
    this.#hold(at, chunk);
    return chunk;
  }

  /** Made again, once: this reads the whole log. */
  async #again(from: number, at: number): Promise<Buffer | undefined> {
    if (this.#madeFrom === from) return undefined;
    try {
      return await this.#made(from, at);
    } catch (e) {
      if (!isCoded(e, 'damaged')) throw e;
      this.#madeFrom = from;
      return undefined;
    }
  }

  async #made(from: number, at: number): Promise<Buffer | undefined> {
    this.#making ??= this.#make(from).finally(() => (this.#making = undefined));
    await this.#making;
    return this.#chunks.get(at) ?? this.#find(at);
  }

  /**
   * Follows the chain to the first slot that has a MAC, and stores the hashes once that one has vouched for
   * them.
   */
  async #make(from: number): Promise<void> {
    const { driver, partition, authenticity } = this.#options;
    const chunks = new Map<number, Buffer>();
    let before: Buffer | undefined;
    for await (const { slot, batch } of driver.read(partition, 1)) {
      const wrong = (reason: string): CodedError =>
        new CodedError('damaged', `the ${partition} log is damaged at slot ${slot}: ${reason}`);
      const link = linkOf(batch);
      if (link?.slot !== slot) throw wrong('the bytes do not have their hash');
      if (before?.equals(link.previous) === false) throw wrong('the chain is broken');
      if (slot === from) {
        const fault = link.version === 1 ? 'it has no MAC' : macFault(batch, authenticity);
        if (fault !== undefined) throw wrong(fault);
        await this.#store(chunks);
        this.#madeFrom = from;
        return;
      }
      const at = Math.floor(slot / chunkSlots);
      const chunk = chunks.get(at) ?? Buffer.alloc(chunkSlots * hashBytes);
      chunk.set(link.hash, (slot % chunkSlots) * hashBytes);
      chunks.set(at, chunk);
      before = link.hash;
    }
    throw new CodedError('damaged', `the ${partition} log is damaged at slot ${from}: it is missing`);
  }

  async #store(chunks: ReadonlyMap<number, Buffer>): Promise<void> {
    const { driver, authenticity } = this.#options;
    for (const [at, chunk] of chunks) {
      this.#hold(at, chunk);
      try {
        const mac = authenticity.mac('old slots', this.#placed(at, chunk));
        await keepOver(driver.snapshots, this.#key(at), Buffer.concat([mac, chunk]));
      } catch (e) {
        if (!isCoded(e)) throw e;
        // They only save time: the next process that needs them makes them, too.
        this.#chunks = new Map([...this.#chunks, ...chunks]);
        return;
      }
    }
  }

  #hold(at: number, chunk: Buffer): void {
    this.#chunks.set(at, chunk);
    for (const oldest of this.#chunks.keys()) {
      if (this.#chunks.size <= heldChunks) break;
      this.#chunks.delete(oldest);
    }
  }

  #key(at: number): string {
    return `${oldSlotsFolder(this.#options.partition)}${String(at).padStart(12, '0')}`;
  }

  #placed(at: number, chunk: Uint8Array): Buffer {
    return Buffer.concat([Buffer.from(`${this.#key(at)}\n`), chunk]);
  }
}
