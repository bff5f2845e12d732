import { isCoded } from '../base/errors.ts';
import { decodeBatch } from './batch.ts';
import type { Partition } from './event.ts';
import type { Manifest } from './manifest.ts';
import type { SlotDriver } from './slot-driver.ts';

/**
 * Whether the store has the batch at which a snapshot or a milestone was taken. If not, a store that was
 * restored from a backup would be written with a gap.
 */
export async function joins(
  driver: SlotDriver,
  manifest: Pick<Manifest, 'partition' | 'slot' | 'hash'>,
): Promise<boolean> {
  for await (const { slot, batch } of driver.read(manifest.partition as Partition, manifest.slot)) {
    if (slot !== manifest.slot) return false;
    try {
      return decodeBatch(batch).hash.toString('hex') === manifest.hash;
    } catch (e) {
      if (isCoded(e)) return false;
      throw e;
    }
  }
  return false;
}
