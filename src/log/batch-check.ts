import { isCoded } from '../base/errors.ts';
import type { Authenticity } from './authenticity.ts';
import { type Batch, decodeBatch, macFault } from './batch.ts';
import type { Partition } from './event.ts';
import { OldSlots } from './old-slots.ts';
import { type PartitionFold, withoutMac } from './partition-fold.ts';
import { type Damage, damaged } from './reader-condition.ts';
import type { SlotDriver, StoredSlot } from './slot-driver.ts';

/** Whether stored bytes are the batch of their slot, written by this log. */
export class BatchCheck {
  readonly #partition: Partition;
  readonly #authenticity: Authenticity | undefined;
  readonly #oldSlots: OldSlots | undefined;

  /** @param parts without `authenticity` MACs are not checked. */
  constructor(parts: {
    readonly driver: Pick<SlotDriver, 'read' | 'snapshots'>;
    readonly partition: Partition;
    readonly authenticity?: Authenticity | undefined;
  }) {
    const { driver, partition, authenticity } = parts;
    this.#partition = partition;
    this.#authenticity = authenticity;
    this.#oldSlots = authenticity && new OldSlots({ driver, partition, authenticity });
  }

  /** Checks a batch that is about to be folded; the fold itself checks that it follows the previous one. */
  look({ slot, batch: bytes }: StoredSlot): Batch | Damage {
    const partition = this.#partition;
    try {
      const batch = decodeBatch(bytes);
      if (batch.slot !== slot || batch.partition !== partition)
        return damaged(partition, slot, `it holds slot ${batch.slot} of ${batch.partition}`);
      const fault = this.#authenticity && macFault(bytes, this.#authenticity);
      return fault === undefined ? batch : damaged(partition, slot, fault);
    } catch (e) {
      if (!isCoded(e)) throw e;
      const { message: reason } = e;
      return e.code === 'unavailable'
        ? { status: 'newer', partition, slot, reason }
        : damaged(partition, slot, reason);
    }
  }

  /**
   * Checks a batch that was folded before, and may have been changed since: by itself, without its
   * neighbours.
   */
  async lookBack(
    stored: StoredSlot,
    { authenticFrom }: Pick<PartitionFold, 'authenticFrom'>,
  ): Promise<Batch | Damage> {
    const found = this.look(stored);
    if ('status' in found || found.version !== 1 || authenticFrom === undefined) return found;
    const fault =
      found.slot >= authenticFrom
        ? withoutMac(authenticFrom)
        : await this.#oldSlots?.fault(found, authenticFrom);
    return fault === undefined ? found : damaged(this.#partition, stored.slot, fault);
  }

  /** Records the slots that the first batch with a MAC vouches for, so that each can be read by itself. */
  async keepOldSlots({ authenticFrom }: Pick<PartitionFold, 'authenticFrom'>): Promise<void> {
    if (authenticFrom !== undefined) await this.#oldSlots?.keep(authenticFrom);
  }
}
