import { CodedError } from '../base/errors.ts';
import type { World } from '../base/world.ts';
import { type Authenticity, readAuthenticity } from './authenticity.ts';
import { decodeBatch, maxBatchBytes } from './batch.ts';
import { BlobCopy, requireSnapshot } from './copy-blobs.ts';
import { abandonTarget, fenceSource, liftFence, openTarget, openToMove, wasMigrated } from './copy-fence.ts';
import { type CopyMark, readMark, refuseUnfinished, removeMark, writeMark } from './copy-mark.ts';
import { type CopiedPartition, SlotCopy } from './copy-slots.ts';
import type { ClusterLog } from './event-log.ts';
import { type Cause, partitions } from './event.ts';
import type { Fence } from './fence.ts';
import type { Keyring } from './keyring.ts';
import { refuseStoreKeys } from './keys-in-store.ts';
import type { SlotDriver } from './slot-driver.ts';

export interface CopyOptions {
  readonly source: SlotDriver;
  readonly target: SlotDriver;
  /** What people call the two places. Both end up on the log. */
  readonly from: string;
  readonly to: string;
  readonly world: World;
  /** That of the log: the facts that end it here and open it there have MACs, as every batch. */
  readonly keyring: Keyring;
  /** Whether keys go along that lie in the source itself, and open its data keys: the new store alone is the cluster then. */
  readonly storeKeys: boolean;
  /** Of the facts that end the log at the source and open it at the target. */
  readonly cause: Cause;
  readonly progress: (step: CopyStep) => void;
  /** How long a store that does not answer is asked again. Default 30,000. */
  readonly patienceMs?: number;
}

/** How far a copy has come. From `fenced` on nobody can append until it ends. */
export type CopyStep =
  | { readonly status: 'pass'; readonly number: number; readonly slots: number }
  | { readonly status: 'fenced' };

export type Copied =
  | {
      readonly status: 'copied';
      readonly partitions: readonly CopiedPartition[];
      readonly dataKeys: number;
      /** How long nobody could append: between the fence and its lifting at the target. */
      readonly fencedMs: number;
    }
  /** An earlier run has done it all. */
  | { readonly status: 'was copied' };

/** A pass that wrote no more slots than this leaves little for the time behind the fence. */
const little = 64;
const maxPasses = 10;

/**
 * Moves a log that is in use to an empty store. Copies in passes while others append, until little is left; fences the
 * source; copies the rest and compares; opens the log at the target. What stops it on the way leaves the target marked
 * as unfinished: nobody opens it, and the same call goes on where this one stopped.
 * @throws CodedError `already_exists` when the target holds another log, `damaged` when the source is damaged,
 * `bad_request` when secrets open by keys of the source itself, which are not to go along; `too_large` when the target does not take its batches, `not_found` when the source is empty: none of them
 * changes the source. After the fence: what the stores throw.
 */
export async function copyLog(options: CopyOptions): Promise<Copied> {
  const { source, target, world } = options;
  await refuseUnfinished(source);
  if (await isEmpty(source)) throw new CodedError('not_found', `there is no log in ${options.from}`);
  if (target.limits.maxBatchBytes < maxBatchBytes)
    throw new CodedError('too_large', `${options.to} takes smaller batches than the log makes`);
  if (!options.storeKeys) await refuseStoreKeys(source, options.to);
  const authenticity = await authenticityOf(options);
  return withLog({ driver: source, world, authenticity }, async (from) => {
    const mark = await claim(options, fenceOf(from));
    return mark === 'was copied' ? { status: mark } : move(options, from, { id: mark.id, authenticity });
  });
}

/** As the source has it: the vault of the target may not have it yet. */
const authenticityOf = ({
  source,
  keyring,
}: Pick<CopyOptions, 'source' | 'keyring'>): Promise<Authenticity | undefined> =>
  readAuthenticity({ vault: source.vault, keyring });

async function move(
  options: CopyOptions,
  from: ClusterLog,
  { id, authenticity }: { readonly id: string; readonly authenticity: Authenticity | undefined },
): Promise<Copied> {
  const { source, target, world, cause, progress } = options;
  const copies = partitions.map(
    (partition) => new SlotCopy({ partition, source, target, patienceMs: options.patienceMs ?? 30_000 }),
  );
  const blobs = new BlobCopy(source, target, options.storeKeys);
  await copyMost(from, copies, blobs, options);
  return withLog({ driver: target, world, authenticity }, async (to) => {
    const began = performance.now();
    await fenceSource(from, id, options.to, cause);
    progress({ status: 'fenced' });
    for (const copy of copies) {
      await copy.pass(await lastSlot(from, copy));
      await compare(copy, id, options);
    }
    await blobs.vault();
    await blobs.meta();
    await blobs.snapshots();
    await requireSnapshots(target, copies, options.to);
    const heads = copies.map((copy) => copy.copied);
    await openTarget(to, { id, from: options.from, heads }, cause);
    // Data keys that were destroyed at the source meanwhile.
    const dataKeys = await blobs.vault();
    await blobs.meta();
    await removeMark(target);
    return { status: 'copied', partitions: heads, dataKeys, fencedMs: performance.now() - began };
  });
}

async function copyMost(
  from: ClusterLog,
  copies: readonly SlotCopy[],
  blobs: BlobCopy,
  options: CopyOptions,
): Promise<void> {
  for (let pass = 1; pass <= maxPasses; pass++) {
    let written = 0;
    for (const copy of copies) written += await copy.pass(await lastSlot(from, copy));
    await blobs.vault();
    await blobs.meta();
    await blobs.snapshots();
    options.progress({ status: 'pass', number: pass, slots: written });
    if (written <= little) break;
  }
  await requireSnapshots(options.target, copies, options.from);
}

/** The newest slot of the source. @throws CodedError `damaged`: a partition could not be fenced. */
async function lastSlot(from: ClusterLog, { copied: { partition } }: SlotCopy): Promise<number> {
  await from[partition].head();
  const { damage, slot } = from.stats()[partition];
  if (damage !== undefined) throw new CodedError('damaged', `the ${partition} log is damaged at ${damage}`);
  return slot;
}

async function requireSnapshots(
  driver: SlotDriver,
  copies: readonly SlotCopy[],
  place: string,
): Promise<void> {
  for (const { copied } of copies)
    if (copied.firstSlot > 1) await requireSnapshot(driver, copied.partition, place);
}

/**
 * Floor and head as the target gives them. Every slot between was compared when it was written or found.
 * @throws CodedError `damaged`, `already_exists`.
 */
async function compare(copy: SlotCopy, id: string, { target, to }: CopyOptions): Promise<void> {
  const { partition, firstSlot, lastSlot, head } = copy.copied;
  const fence = copy.fold.fence;
  if (fence?.status !== 'moved' || fence.copy !== id)
    throw new CodedError('unavailable', `the fence of ${partition} is gone: was the copy given up?`);
  const { floor } = await target.bounds(partition);
  let found = '';
  for await (const { slot, batch } of target.read(partition, lastSlot)) {
    if (slot === lastSlot) found = decodeBatch(batch).hash.toString('hex');
    break;
  }
  if (floor !== Math.max(1, firstSlot) || found !== head)
    throw new CodedError(
      'damaged',
      `${to} does not hold ${partition} from slot ${firstSlot} to slot ${lastSlot} with the head ${head}`,
    );
}

/** Marks the target as this copy's own, or finds that it is. */
async function claim(options: CopyOptions, fence: Fence | undefined): Promise<CopyMark | 'was copied'> {
  const { target, to, from, world } = options;
  const mark = await readMark(target);
  if (mark !== undefined && mark.kind !== 'copy')
    throw new CodedError(
      'already_exists',
      `an import into ${to} has not ended: finish it, or name an empty store`,
    );
  if (fence !== undefined && fence.copy !== mark?.id) {
    if (mark === undefined && !(await isEmpty(target)))
      if (await withLog({ driver: target, world }, (log) => wasMigrated(log, fence.copy)))
        return 'was copied';
    throw new CodedError(
      'unavailable',
      `${from} is fenced for another copy: ${fence.reason}, or give that copy up with tctl log copy --abort`,
    );
  }
  if (mark !== undefined) return mark;
  if (!(await isEmpty(target)))
    throw new CodedError('already_exists', `${to} holds a log already: name an empty store`);
  const made = { kind: 'copy', id: world.uuid(), from, begunAt: world.now() } as const;
  await writeMark(target, made);
  return { version: 1, ...made };
}

/**
 * Gives up a copy that was fenced: the log goes on at the source, and never opens at the target. Without `target`
 * (it is lost) the caller vouches that the log did not open there.
 * @throws CodedError `already_exists` when it has opened there, `not_found` when nothing is fenced or the target is
 * another's.
 */
export async function abortCopy(
  options: Pick<CopyOptions, 'source' | 'world' | 'keyring' | 'cause'> & {
    readonly target: SlotDriver | undefined;
  },
): Promise<void> {
  const { source, target, world, cause } = options;
  const authenticity = await authenticityOf(options);
  await withLog({ driver: source, world, authenticity }, async (log) => {
    const fence = fenceOf(log);
    if (fence?.status !== 'moved')
      throw new CodedError('not_found', fence?.reason ?? 'no copy is to be given up: the log is not fenced');
    if (target !== undefined)
      await withLog({ driver: target, world, authenticity }, async (copied) => {
        const mark = await readMark(target);
        if (mark?.id !== fence.copy && !(await wasMigrated(copied, fence.copy)))
          throw new CodedError('not_found', `this is not where the log was being copied to: ${fence.reason}`);
        await abandonTarget(copied, fence.copy, cause);
      });
    await liftFence(log, fence.copy, cause);
  });
}

const fenceOf = (log: ClusterLog): Fence | undefined => {
  const stats = log.stats();
  return partitions.map((name) => stats[name].fence).find((one) => one !== undefined);
};

export async function isEmpty(driver: SlotDriver): Promise<boolean> {
  for (const partition of partitions) if ((await driver.bounds(partition)).head > 0) return false;
  for (const store of [driver.vault, driver.snapshots, driver.meta])
    if ((await store.list('')).length > 0) return false;
  return true;
}

async function withLog<T>(
  {
    driver,
    world,
    authenticity,
  }: { readonly driver: SlotDriver; readonly world: World; readonly authenticity?: Authenticity | undefined },
  act: (log: ClusterLog) => Promise<T>,
): Promise<T> {
  const log = await openToMove(driver, world, authenticity);
  try {
    return await act(log);
  } finally {
    await log.close();
  }
}
