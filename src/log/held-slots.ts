import type { Partition } from './event.ts';
import { wasGivenUp } from './given-up.ts';
import { ownHash } from './own-hash.ts';
import type { Place, SlotDriver, StoredSlot } from './slot-driver.ts';

interface Store {
  readonly driver: SlotDriver;
  readonly partition: Partition;
}

/** One slot as the store holds it now. */
export async function slotAt({ driver, partition }: Store, slot: number): Promise<StoredSlot | undefined> {
  for await (const stored of driver.read(partition, slot)) return stored.slot === slot ? stored : undefined;
  return undefined;
}

/** Whether the store holds the batch at a place, or has trimmed the slot. */
export const isHeld = async (store: Store, place: Place): Promise<boolean> =>
  (await isTrimmed(store, place.slot)) || (await holdsPlace(store, place));

export async function holdsPlace(store: Store, { slot, hash }: Place): Promise<boolean> {
  if (slot === 0) return true;
  const stored = await slotAt(store, slot);
  return stored !== undefined && ownHash(stored.batch).equals(hash);
}

export const isTrimmed = ({ driver, partition }: Store, slot: number): Promise<boolean> =>
  wasGivenUp(driver, partition, slot);
