import { silentLog } from '../base/log-sink.ts';
import type { Partition } from './event.ts';
import type { SlotDriver } from './slot-driver.ts';
import { SnapshotStore } from './snapshot-store.ts';

/**
 * Whether a slot that a reading skipped was trimmed. If not, it is missing. Call it after the reading: a
 * floor only rises.
 */
export async function wasGivenUp(
  driver: Pick<SlotDriver, 'bounds' | 'read' | 'snapshots'>,
  partition: Partition,
  slot: number,
): Promise<boolean> {
  if (slot < (await driver.bounds(partition)).floor) return true;
  // Only presence is trimmed, and a process of the previous release trims it without raising the floor.
  if (partition !== 'presence') return false;
  if (slot >= (await new SnapshotStore(driver.snapshots, partition, silentLog).neededFrom())) return false;
  for await (const first of driver.read(partition, 1)) return first.slot > slot;
  return false;
}
