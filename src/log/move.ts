import { CodedError } from '../base/errors.ts';
import type { World } from '../base/world.ts';
import { type Authenticity, readAuthenticity } from './authenticity.ts';
import { BlobCopy } from './copy-blobs.ts';
import { fenceSource, openTarget } from './copy-fence.ts';
import { type CopyMark, removeMark, writeMark } from './copy-mark.ts';
import { compareHead, lastSlot, requireSnapshots, withLog } from './copy-parts.ts';
import { type CopiedPartition, SlotCopy } from './copy-slots.ts';
import type { ClusterLog } from './event-log.ts';
import { type Cause, partitions } from './event.ts';
import type { Fence } from './fence.ts';
import type { Keyring } from './keyring.ts';
import { checkSource, examineTarget, fenceOf } from './move-plan.ts';
import type { SlotDriver } from './slot-driver.ts';

export interface MoveOptions {
  readonly source: SlotDriver;
  readonly target: SlotDriver;
  /** The names of the two places for people. Both are recorded on the log. */
  readonly from: string;
  readonly to: string;
  readonly world: World;
  /** The keyring of the log: the facts that end it here and open it there have MACs, as every batch. */
  readonly keyring: Keyring;
  /**
   * Whether to move keys that are in the source itself and open its data keys: then the new store alone is
   * enough to become the cluster.
   */
  readonly storeKeys: boolean;
  /** Of the facts that end the log at the source and open it at the target. */
  readonly cause: Cause;
  readonly progress: (step: MoveStep) => void;
  /** How long a store that does not reply is retried. Default 30,000. */
  readonly patienceMs?: number;
}

/** The progress of a move. From `fenced` on nobody can append until it ends. */
export type MoveStep =
  | { readonly status: 'pass'; readonly number: number; readonly slots: number }
  | { readonly status: 'fenced' };

export type Moved =
  | {
      readonly status: 'moved';
      readonly partitions: readonly CopiedPartition[];
      readonly dataKeys: number;
      /** How long nobody could append: between the fence and its lifting at the target. */
      readonly fencedMs: number;
    }
  /** An earlier run has moved everything. */
  | { readonly status: 'was moved' };

/** A pass that wrote no more slots than this leaves little to copy behind the fence. */
const little = 64;
const maxPasses = 10;

/**
 * Moves a log that is in use to an empty store. Copies in passes while others append, until little is left;
 * fences the source; copies the rest and compares; opens the log at the target. What stops it on the way
 * leaves the target marked as unfinished: nobody opens it, and the same call goes on where this one stopped.
 * @throws CodedError `already_exists` when the target holds another log, `damaged` when the source is
 *   damaged, `bad_request` when secrets open by keys of the source itself, which are not to go along;
 *   `too_large` when the target does not take its batches, `not_found` when the source is empty: none of them
 *   changes the source. After the fence: what the stores throw.
 */
export async function moveLog(options: MoveOptions): Promise<Moved> {
  const { source, world } = options;
  await checkSource(options);
  const authenticity = await authenticityOf(options);
  return withLog({ driver: source, world, authenticity }, async (from) => {
    const mark = await claim(options, fenceOf(from));
    return mark === 'was moved' ? { status: mark } : move(options, from, { id: mark.id, authenticity });
  });
}

/** From the source: the vault of the target may not have it yet. */
const authenticityOf = ({
  source,
  keyring,
}: Pick<MoveOptions, 'source' | 'keyring'>): Promise<Authenticity | undefined> =>
  readAuthenticity({ vault: source.vault, keyring });

async function move(
  options: MoveOptions,
  from: ClusterLog,
  { id, authenticity }: { readonly id: string; readonly authenticity: Authenticity | undefined },
): Promise<Moved> {
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
    // Data keys that were destroyed at the source in the meantime.
    const dataKeys = await blobs.vault();
    await blobs.meta();
    await removeMark(target);
    return { status: 'moved', partitions: heads, dataKeys, fencedMs: performance.now() - began };
  });
}

async function copyMost(
  from: ClusterLog,
  copies: readonly SlotCopy[],
  blobs: BlobCopy,
  options: MoveOptions,
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

/**
 * @throws CodedError `unavailable` when the move was abandoned in the meantime; `damaged`, `already_exists`.
 */
async function compare(copy: SlotCopy, id: string, { target, to }: MoveOptions): Promise<void> {
  const fence = copy.fold.fence;
  if (fence?.status !== 'moved' || fence.copy !== id)
    throw new CodedError(
      'unavailable',
      `the fence of ${copy.copied.partition} is gone: was the move given up?`,
    );
  await compareHead(copy.copied, target, to);
}

/** Marks the target as belonging to this move, or finds that it does. */
async function claim(options: MoveOptions, fence: Fence | undefined): Promise<CopyMark | 'was moved'> {
  const { target, from, world } = options;
  const found = await examineTarget(options, fence);
  if (found !== 'empty') return found;
  const made = { kind: 'copy', id: world.uuid(), from, begunAt: world.now() } as const;
  await writeMark(target, made);
  return { version: 1, ...made };
}
