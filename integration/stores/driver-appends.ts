import { noHash, ownHash } from '../../src/log/own-hash.ts';
import type { Partition } from '../../src/log/event.ts';
import type { Appended, Place, SlotDriver } from '../../src/log/slot-driver.ts';

/** Something that a slot may hold, for a driver alone: the log would not read it. */
export const batchOf = (text: string): Buffer => Buffer.from(text.padStart(64, '.'));

/** The newest slot that the store holds. */
export async function newestIn(driver: SlotDriver, partition: Partition): Promise<Place> {
  let newest: Place = { slot: 0, hash: noHash };
  for await (const { slot, batch } of driver.read(partition, 1)) newest = { slot, hash: ownHash(batch) };
  return newest;
}

/** Appends after it. */
export async function appendNewest(
  driver: SlotDriver,
  partition: Partition,
  batch = batchOf('a batch'),
): Promise<Appended['status']> {
  return (await driver.append(partition, await newestIn(driver, partition), batch)).status;
}
