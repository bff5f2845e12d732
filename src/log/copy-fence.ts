import { CodedError, isCoded } from '../base/errors.ts';
import { silentLog } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import type { Authenticity } from './authenticity.ts';
import type { CopiedPartition } from './copy-slots.ts';
import type { ClusterLog } from './event-log.ts';
import { type Cause, type Fact, type Partition, partitions } from './event.ts';
import { copyAbandoned, type Fence, fenced, fenceLifted, fenceStream, migrated } from './fence.ts';
import { noKeyring } from './keyring.ts';
import { openLog } from './open-log.ts';
import type { SlotDriver } from './slot-driver.ts';

/**
 * The log on a driver that its caller keeps: closing the log leaves the driver open. Opens no secrets.
 * @param authenticity is needed when facts are to be appended.
 */
export const openToMove = (
  driver: SlotDriver,
  world: World,
  authenticity?: Authenticity,
): Promise<ClusterLog> =>
  openLog({
    driver: { ...driver, close: () => Promise.resolve() },
    keyring: noKeyring,
    authenticity,
    world,
    writer: 'tctl',
    sink: silentLog,
    unfinished: true,
  });

/**
 * Ends the log at the source. Partitions that are fenced for this copy already stay as they are.
 * @throws CodedError `unavailable` when it was fenced for another.
 */
export async function fenceSource(log: ClusterLog, copy: string, to: string, cause: Cause): Promise<void> {
  for (const partition of partitions)
    await decide(log, partition, cause, (fence) => {
      if (fence === undefined) return fenced(copy, to);
      if (fence.status === 'moved' && fence.copy === copy) return undefined;
      throw new CodedError('unavailable', `the log was fenced meanwhile: ${fence.reason}`);
    });
}

/**
 * Opens the log at the target. `state` comes first: whichever writes its next slot, this or `abandonTarget`,
 * decides.
 * @throws CodedError `unavailable` when the move was abandoned.
 */
export async function openTarget(
  log: ClusterLog,
  copy: { readonly id: string; readonly from: string; readonly heads: readonly CopiedPartition[] },
  cause: Cause,
): Promise<void> {
  for (const partition of partitions)
    await decide(log, partition, cause, (fence) => {
      if (fence === undefined) return undefined;
      if (fence.status === 'moved' && fence.copy === copy.id) return migrated(copy.id, copy.from, copy.heads);
      throw new CodedError('unavailable', fence.reason);
    });
}

/**
 * Takes the slot that would have opened the log at the target, so that it never opens there.
 * @throws CodedError `already_exists` when it has opened.
 */
export async function abandonTarget(log: ClusterLog, copy: string, cause: Cause): Promise<void> {
  await decide(log, 'state', cause, async (fence) => {
    if (await wasMigrated(log, copy))
      throw new CodedError('already_exists', 'the move has ended: the log has opened there');
    return fence?.status === 'abandoned' ? undefined : copyAbandoned(copy);
  });
}

/** The log continues at the source. Partitions that are not fenced for this copy stay as they are. */
export async function liftFence(log: ClusterLog, copy: string, cause: Cause): Promise<void> {
  for (const partition of partitions)
    await decide(log, partition, cause, (fence) =>
      fence?.status === 'moved' && fence.copy === copy ? fenceLifted(copy) : undefined,
    );
}

/** Whether this is the log that the copy made. */
export async function wasMigrated(log: ClusterLog, copy: string): Promise<boolean> {
  for await (const { fact } of log.state.read(fenceStream('state')))
    if (fact.type === 'log.migrated' && (fact.data as { copy?: unknown }).copy === copy) return true;
  return false;
}

type Answer = Fact | undefined;
const maxAttempts = 12;

/** Appends the result of `next` for the current fence; again when another writer was first. */
export async function decide(
  log: ClusterLog,
  partition: Partition,
  cause: Cause,
  next: (fence: Fence | undefined) => Answer | Promise<Answer>,
): Promise<void> {
  const stream = fenceStream(partition);
  for (let attempt = 1; ; attempt++) {
    const expected = await log[partition].revision(stream);
    const fact = await next(log.stats()[partition].fence);
    if (fact === undefined) return;
    try {
      await log[partition].append([{ stream, expected, facts: [fact] }], cause);
      return;
    } catch (e) {
      if (!isCoded(e, 'conflict') || attempt === maxAttempts) throw e;
    }
  }
}
