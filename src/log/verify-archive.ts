import { isCoded } from '../base/errors.ts';
import { type Batch, decodeBatch } from './batch.ts';
import type { Partition } from './event.ts';
import { noHash } from './own-hash.ts';
import { type BadSlot, damaged } from './reader-condition.ts';
import { afterFact, archiveStream, type ArchiveRecord, chainAt, emptyRecord } from './segment-record.ts';
import type { SlotDriver } from './slot-driver.ts';

/** What the batches of `state` tell of the archive of a partition, as they are verified. */
export class ToldOfArchive {
  readonly #driver: Pick<SlotDriver, 'read'>;
  readonly #partition: Partition;
  #record = emptyRecord;
  #slot = 0;
  #hash = noHash;

  constructor(driver: Pick<SlotDriver, 'read'>, partition: Partition) {
    this.#driver = driver;
    this.#partition = partition;
  }

  get record(): ArchiveRecord {
    return this.#record;
  }

  /** The next good batch of `state`. */
  take({ slot, hash, events }: Batch): void {
    for (const { stream, fact } of events)
      if (stream === archiveStream(this.#partition)) this.#record = afterFact(this.#record, fact);
    this.#slot = slot;
    this.#hash = hash;
  }

  /**
   * What is wrong with a partition that begins with this slot, behind the batch with the hash `before`.
   * Undefined when the log says so.
   */
  async beginningFault(firstSlot: number, before: string): Promise<BadSlot | undefined> {
    if (chainAt(this.#record, firstSlot - 1) === undefined) await this.#readOn();
    const known = chainAt(this.#record, firstSlot - 1);
    if (known?.hash === before) return undefined;
    return known === undefined
      ? damaged(this.#partition, firstSlot - 1, 'it is missing, and the log does not say that it was moved')
      : damaged(this.#partition, firstSlot, 'it does not follow what the log says was before it');
  }

  /** More may have been moved since `state` was read, while the rest was. */
  async #readOn(): Promise<void> {
    for await (const stored of this.#driver.read('state', this.#slot + 1)) {
      try {
        const batch = decodeBatch(stored.batch);
        if (!batch.previous.equals(this.#hash)) return;
        this.take(batch);
      } catch (e) {
        if (isCoded(e, 'damaged') || isCoded(e, 'unavailable')) return;
        throw e;
      }
    }
  }
}
