import { isCoded } from '../base/errors.ts';
import type { Authenticity } from './authenticity.ts';
import { hasMac } from './batch.ts';
import type { Compacted, Sealed, Write } from './event-log.ts';
import type { Partition, Position } from './event.ts';
import { compactionStream } from './partition-fold.ts';
import type { PartitionReader } from './partition-reader.ts';
import { logSealed, sealStream } from './seal.ts';
import type { SlotDriver } from './slot-driver.ts';

interface SealParts {
  readonly reader: PartitionReader;
  readonly authenticity: Authenticity;
  /** Takes one that has a MAC. */
  readonly takeSnapshot: () => Promise<Compacted>;
  readonly append: (writes: readonly Write[]) => Promise<Position>;
}

/**
 * See `ClusterLog.seal`. The snapshot comes first: one without a MAC is not trusted afterwards, and the
 * trimmed events would be lost with it.
 */
export async function sealPartition({ reader, authenticity, ...act }: SealParts): Promise<Sealed> {
  const { partition } = reader.fold;
  await reader.catchUp();
  if (reader.isAuthentic) return 'was sealed';
  const [seal, compaction] = [sealStream(partition), compactionStream(partition)];
  await reader.fold.recall([seal, compaction]);
  const epoch = reader.fold.revision(compaction) + 1;
  const expected = reader.fold.revision(seal);
  await authenticity.keep();
  if ((await act.takeSnapshot()).status === 'superseded') return 'not now';
  const writes = [
    // A compactor of an older release would in the meantime leave only snapshots that are not trusted then.
    { stream: compaction, expected: epoch, facts: [] },
    { stream: seal, expected, facts: [logSealed(reader.fold, authenticity)] },
  ];
  try {
    await act.append(writes);
  } catch (e) {
    if (isCoded(e, 'conflict')) return 'not now';
    throw e;
  }
  await reader.keepOldSlots();
  return 'sealed';
}

/** Whether the newest batch in a store has a MAC: then all that come after it have one. */
export async function newestHasMac(
  driver: Pick<SlotDriver, 'bounds' | 'read'>,
  partition: Partition,
): Promise<boolean> {
  const { head } = await driver.bounds(partition);
  if (head === 0) return false;
  for await (const { batch } of driver.read(partition, head)) return hasMac(batch);
  return false;
}
