import { CodedError, isCoded } from '../base/errors.ts';
import type { World } from '../base/world.ts';
import { readAuthenticity } from './authenticity.ts';
import { abandonTarget, decide, liftFence, wasMigrated } from './copy-fence.ts';
import { readMark } from './copy-mark.ts';
import { withLog } from './copy-parts.ts';
import type { ClusterLog } from './event-log.ts';
import { type Cause, type Partition, partitions, type Recorded } from './event.ts';
import { copyAbandoned, type Fence, fenceLifted, fenceStream } from './fence.ts';
import type { Keyring } from './keyring.ts';
import { fenceOf } from './move-plan.ts';
import type { SlotDriver } from './slot-driver.ts';

export interface TakeBackOptions {
  readonly source: SlotDriver;
  /** Undefined: it is lost, and the caller asserts that the log did not open there. */
  readonly target: SlotDriver | undefined;
  readonly world: World;
  readonly keyring: Keyring;
  readonly cause: Cause;
}

/** Whether the log had opened at the target before. */
export type TakenBack = 'before it ended' | 'after it ended';

/**
 * Takes a move back: the log continues at the source, and never opens at the target. A completed move can be
 * taken back as long as nothing new was written at the target. The next slot of a partition there decides:
 * written by this function, it closes the partition; written by an auth server, its event stays. May be run
 * again after it was stopped.
 * @throws CodedError `already_exists` when the log continues at the target, naming what was written there
 *   first; `not_found` when nothing is fenced, or the target belongs to another move.
 */
export async function takeBack(options: TakeBackOptions): Promise<TakenBack> {
  const { source, target, world, keyring, cause } = options;
  const authenticity = await readAuthenticity({ vault: source.vault, keyring });
  return withLog({ driver: source, world, authenticity }, async (log) => {
    const fence = fenceOf(log);
    if (fence?.status !== 'moved')
      throw new CodedError(
        'not_found',
        fence?.reason ?? 'no move is to be taken back: the log is not fenced',
      );
    let taken: TakenBack = 'before it ended';
    if (target !== undefined) {
      await requireOurs(target, world, fence);
      taken = await withLog({ driver: target, world, authenticity }, (copied) =>
        close(copied, fence.copy, cause),
      );
    }
    await liftFence(log, fence.copy, cause);
    return taken;
  });
}

/** Without the key for MACs: another log has another one. @throws CodedError `not_found` */
async function requireOurs(target: SlotDriver, world: World, fence: Fence): Promise<void> {
  if ((await readMark(target))?.id === fence.copy) return;
  if (await withLog({ driver: target, world }, (log) => wasMigrated(log, fence.copy))) return;
  throw new CodedError('not_found', `this is not where the log was being moved to: ${fence.reason}`);
}

async function close(log: ClusterLog, copy: string, cause: Cause): Promise<TakenBack> {
  if (!(await wasMigrated(log, copy)))
    try {
      await abandonTarget(log, copy, cause);
      return 'before it ended';
    } catch (e) {
      // The move ended in the meantime.
      if (!isCoded(e, 'already_exists')) throw e;
    }
  await closeWhole(log, copy, cause);
  return 'after it ended';
}

/**
 * Closes all partitions, then looks whether anything was written before that. If so, they are opened again:
 * an event whose append was confirmed to an auth server stays. A second run after an interruption between the
 * two does the same.
 */
async function closeWhole(log: ClusterLog, copy: string, cause: Cause): Promise<void> {
  try {
    // Checked first, so that a cluster that continues there is not disturbed.
    await refuseNews(log, copy);
    for (const partition of partitions)
      await decide(log, partition, cause, (fence) =>
        fence?.status === 'abandoned' ? undefined : copyAbandoned(copy),
      );
    await refuseNews(log, copy);
  } catch (e) {
    if (isCoded(e, 'already_exists')) await reopen(log, copy, cause);
    throw e;
  }
}

async function reopen(log: ClusterLog, copy: string, cause: Cause): Promise<void> {
  for (const partition of partitions)
    await decide(log, partition, cause, (fence) =>
      fence?.status === 'abandoned' && fence.copy === copy ? fenceLifted(copy) : undefined,
    );
}

/**
 * @throws CodedError `already_exists` when there is an event behind `log.migrated` that is not part of the
 *   move.
 */
async function refuseNews(log: ClusterLog, copy: string): Promise<void> {
  for (const partition of partitions) {
    const news = await firstNews(log, partition, copy);
    if (news === 'trimmed')
      throw new CodedError(
        'already_exists',
        `the log goes on there, and its ${partition} was trimmed since: it stays so`,
      );
    if (news !== undefined)
      throw new CodedError(
        'already_exists',
        `the log goes on there: ${news.fact.type} was written at ${news.cause.at} by ${news.cause.actor}. It stays so`,
      );
  }
}

async function firstNews(
  log: ClusterLog,
  partition: Partition,
  copy: string,
): Promise<Recorded | 'trimmed' | undefined> {
  const stream = fenceStream(partition);
  try {
    let since: number | undefined;
    for await (const { fact, position } of log[partition].read(stream))
      if (fact.type === 'log.migrated' && (fact.data as { copy?: unknown }).copy === copy) since = position;
    // The move has not reached this one.
    if (since === undefined) return undefined;
    for await (const event of log[partition].history(since)) if (event.stream !== stream) return event;
    return undefined;
  } catch (e) {
    if (isCoded(e, 'cursor_too_old')) return 'trimmed';
    throw e;
  }
}
