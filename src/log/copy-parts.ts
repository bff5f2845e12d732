import { CodedError } from '../base/errors.ts';
import type { World } from '../base/world.ts';
import type { Authenticity } from './authenticity.ts';
import { decodeBatch } from './batch.ts';
import { requireSnapshot } from './copy-blobs.ts';
import { openToMove } from './copy-fence.ts';
import type { CopiedPartition, SlotCopy } from './copy-slots.ts';
import type { ClusterLog } from './event-log.ts';
import { partitions } from './event.ts';
import type { SlotDriver } from './slot-driver.ts';

/* Common parts of moving and copying a log. */

/**
 * The newest slot of the source. @throws CodedError `damaged`: a log that cannot be read cannot be copied.
 */
export async function lastSlot(from: ClusterLog, { copied: { partition } }: SlotCopy): Promise<number> {
  await from[partition].head();
  const { damage, slot } = from.stats()[partition];
  if (damage !== undefined) throw new CodedError('damaged', `the ${partition} log is damaged at ${damage}`);
  return slot;
}

/** @throws CodedError `damaged` when a partition begins after slot 1, and no snapshot there joins it. */
export async function requireSnapshots(
  driver: SlotDriver,
  copies: readonly SlotCopy[],
  place: string,
): Promise<void> {
  for (const { copied } of copies)
    if (copied.firstSlot > 1) await requireSnapshot(driver, copied.partition, place);
}

/**
 * Compares floor and head as the target returns them. Every slot between was compared when it was written or
 * found.
 * @throws CodedError `damaged`.
 */
export async function compareHead(
  { partition, firstSlot, lastSlot: last, head }: CopiedPartition,
  target: SlotDriver,
  to: string,
): Promise<void> {
  const { floor } = await target.bounds(partition);
  let found = '';
  for await (const { slot, batch } of target.read(partition, last)) {
    if (slot === last) found = decodeBatch(batch).hash.toString('hex');
    break;
  }
  if (floor !== Math.max(1, firstSlot) || (last > 0 && found !== head))
    throw new CodedError(
      'damaged',
      `${to} does not hold ${partition} from slot ${firstSlot} to slot ${last} with the head ${head}`,
    );
}

/** Whether a store contains nothing at all. */
export async function isEmpty(driver: SlotDriver): Promise<boolean> {
  for (const partition of partitions) if ((await driver.bounds(partition)).head > 0) return false;
  for (const store of [driver.vault, driver.snapshots, driver.meta])
    if ((await store.list('')).length > 0) return false;
  return true;
}

interface Opened {
  readonly driver: SlotDriver;
  readonly world: World;
  readonly authenticity?: Authenticity | undefined;
}

/** Opens the log of a driver, whatever its state, and closes it again; the driver stays open. */
export async function withLog<T>(
  { driver, world, authenticity }: Opened,
  act: (log: ClusterLog) => Promise<T>,
): Promise<T> {
  const log = await openToMove(driver, world, authenticity);
  try {
    return await act(log);
  } finally {
    await log.close();
  }
}
