import type { Instant } from '../base/time.ts';
import type { World } from '../base/world.ts';
import type { Authenticity } from './authenticity.ts';
import type { Appender } from './appender.ts';
import type { ArchiveTimes } from './archive-times.ts';
import type { PartitionContents, PartitionStats, SnapshotContents } from './event-log.ts';
import type { Partition, Position } from './event.ts';
import { growthOf } from './growth.ts';
import type { PartitionReader } from './partition-reader.ts';
import { conditionText } from './reader-condition.ts';
import type { SlotDriver } from './slot-driver.ts';
import type { SnapshotStore } from './snapshot-store.ts';

/** See `ClusterLog.stats`. */
export function statsOf({
  reader: { fold, condition, withoutOlderReleaseMs },
  appender,
  followers,
  lastSnapshotAt,
  authenticity,
}: {
  readonly reader: Pick<PartitionReader, 'fold' | 'condition' | 'withoutOlderReleaseMs'>;
  readonly appender: Pick<Appender, 'waiting' | 'counters'>;
  /** The positions that they have reached. */
  readonly followers: readonly Position[];
  readonly lastSnapshotAt: Instant | undefined;
  readonly authenticity: Authenticity | undefined;
}): PartitionStats {
  return {
    position: fold.position,
    slot: fold.slot,
    hash: fold.hash.toString('hex'),
    streams: fold.streams.size,
    authenticFrom: fold.authenticFrom,
    macKeyId: fold.authenticFrom === undefined ? undefined : authenticity?.keyId.toString('hex'),
    withoutOlderReleaseMs,
    ...appender.counters,
    waitingAppends: appender.waiting.appends,
    waitingBytes: appender.waiting.bytes,
    followers: followers.length,
    lag: Math.max(0, ...followers.map((one) => fold.position - one)),
    eventsSinceSnapshot: fold.position - fold.compactedAt,
    lastSnapshotAt,
    damage: condition?.status === 'damaged' ? `slot ${condition.slot}: ${condition.reason}` : undefined,
    wentBack: condition?.status === 'went back' ? conditionText(condition) : undefined,
    fence:
      condition?.status === 'newer'
        ? { status: 'unknown', copy: '', reason: conditionText(condition) }
        : fold.fence,
  };
}

/** See `ClusterLog.inspect`. */
export async function contentsOf(
  {
    driver,
    world,
    archive,
  }: { readonly driver: SlotDriver; readonly world: World; readonly archive?: ArchiveTimes | undefined },
  partition: Partition,
  stored: SnapshotStore,
): Promise<PartitionContents> {
  const snapshots: SnapshotContents[] = [];
  for await (const { slot, bytes, found } of stored.inspect()) {
    const good = typeof found === 'string' ? undefined : found;
    snapshots.push({
      slot,
      bytes,
      position: good?.position,
      takenAt: good?.takenAt,
      fault: typeof found === 'string' ? found : undefined,
    });
  }
  const growth = await growthOf(driver, partition, { now: world.now(), archive });
  for await (const { slot } of driver.read(partition, 1)) return { firstSlot: slot, snapshots, growth };
  return { firstSlot: 0, snapshots, growth };
}
