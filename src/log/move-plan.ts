import { CodedError } from '../base/errors.ts';
import type { World } from '../base/world.ts';
import { maxBatchBytes } from './batch.ts';
import { wasMigrated } from './copy-fence.ts';
import { type CopyMark, readMark, refusedByMark, refuseUnfinished } from './copy-mark.ts';
import { isEmpty, withLog } from './copy-parts.ts';
import type { ClusterLog } from './event-log.ts';
import { type Partition, partitions } from './event.ts';
import type { Fence } from './fence.ts';
import { refuseStoreKeys } from './keys-in-store.ts';
import type { SlotDriver } from './slot-driver.ts';

/** The size of a log that is to be moved or copied, measured by reading it. */
export interface Measured {
  readonly partitions: readonly {
    readonly partition: Partition;
    readonly slots: number;
    /** Of slots and snapshots. */
    readonly bytes: number;
  }[];
  readonly bytes: number;
}

/**
 * `begins`: into an empty store; `goes on`: an earlier run was stopped; `is done`: an earlier run has moved
 * everything.
 */
export type MoveStage = 'begins' | 'goes on' | 'is done';

export interface PlanOptions {
  readonly source: SlotDriver;
  /** Undefined: there is nothing at all at the target. */
  readonly target: SlotDriver | undefined;
  /** The names of the two places for people. */
  readonly from: string;
  readonly to: string;
  readonly world: World;
  readonly storeKeys: boolean;
}

/**
 * Whether the log can be moved there, and how large it is. Writes nothing, on either side.
 * @throws CodedError as `moveLog` before its fence.
 */
export async function planMove(options: PlanOptions): Promise<Measured & { readonly stage: MoveStage }> {
  const { source, target, world } = options;
  await checkSource(options);
  return withLog({ driver: source, world }, async (from) => {
    const measured = await measure(source, from);
    const fence = fenceOf(from);
    if (target === undefined) {
      if (fence !== undefined) throw fencedForAnother(options, fence);
      return { ...measured, stage: 'begins' };
    }
    const found = await examineTarget({ ...options, target }, fence);
    const stage = found === 'was moved' ? 'is done' : found === 'empty' ? 'begins' : 'goes on';
    return { ...measured, stage };
  });
}

/**
 * @throws CodedError `not_found`, `too_large`, `bad_request`; `unavailable` for a source that is not whole.
 */
export async function checkSource({ source, target, from, to, storeKeys }: PlanOptions): Promise<void> {
  await refuseUnfinished(source);
  if (await isEmpty(source)) throw new CodedError('not_found', `there is no log in ${from}`);
  if (target !== undefined && target.limits.maxBatchBytes < maxBatchBytes)
    throw new CodedError('too_large', `${to} takes smaller batches than the log makes`);
  if (!storeKeys) await refuseStoreKeys(source, to);
}

/**
 * Whether the target belongs to this move. Writes nothing.
 * @throws CodedError `already_exists` when it holds anything else, `unavailable` when the source is fenced
 *   for another.
 */
export async function examineTarget(
  options: PlanOptions & { readonly target: SlotDriver },
  fence: Fence | undefined,
): Promise<CopyMark | 'empty' | 'was moved'> {
  const { target, to, world } = options;
  const mark = await readMark(target);
  if (mark !== undefined && mark.kind !== 'copy') throw refusedByMark(mark, to);
  const empty = await isEmpty(target);
  if (fence !== undefined && fence.copy !== mark?.id) {
    if (mark === undefined && !empty)
      if (await withLog({ driver: target, world }, (log) => wasMigrated(log, fence.copy))) return 'was moved';
    throw fencedForAnother(options, fence);
  }
  if (mark !== undefined) return mark;
  if (!empty) throw new CodedError('already_exists', `${to} holds a log already: name an empty store`);
  return 'empty';
}

const fencedForAnother = ({ from }: PlanOptions, fence: Fence): CodedError =>
  new CodedError(
    'unavailable',
    `${from} is fenced for another move: ${fence.reason}, or take that move back with tctl log move --take-back`,
  );

/** The fence of a log of which any partition has one. */
export const fenceOf = (log: ClusterLog): Fence | undefined => {
  const stats = log.stats();
  return partitions.map((name) => stats[name].fence).find((one) => one !== undefined);
};

async function measure(source: SlotDriver, log: ClusterLog): Promise<Measured> {
  const measured = await Promise.all(
    partitions.map(async (partition) => {
      const { snapshots } = await log.inspect(partition);
      let slots = 0;
      let bytes = snapshots.reduce((sum, one) => sum + one.bytes, 0);
      for await (const { batch } of source.read(partition, 1)) {
        slots++;
        bytes += batch.length;
      }
      return { partition, slots, bytes };
    }),
  );
  return { partitions: measured, bytes: measured.reduce((sum, one) => sum + one.bytes, 0) };
}
