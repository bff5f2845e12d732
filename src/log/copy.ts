import { CodedError } from '../base/errors.ts';
import type { World } from '../base/world.ts';
import { readAuthenticity } from './authenticity.ts';
import { BlobCopy } from './copy-blobs.ts';
import { decide } from './copy-fence.ts';
import {
  changeMark,
  type CopyMark,
  readMark,
  refusedByMark,
  refuseUnfinished,
  removeMark,
  writeMark,
} from './copy-mark.ts';
import { compareHead, isEmpty, lastSlot, requireSnapshots, withLog } from './copy-parts.ts';
import { type CopiedPartition, SlotCopy } from './copy-slots.ts';
import type { ClusterLog } from './event-log.ts';
import { type Cause, type Partition, partitions } from './event.ts';
import { fenceStream, migrated } from './fence.ts';
import type { Keyring } from './keyring.ts';
import { refuseStoreKeys } from './keys-in-store.ts';
import type { SlotDriver } from './slot-driver.ts';

export interface CopyOptions {
  readonly source: SlotDriver;
  readonly target: SlotDriver;
  /** The names of the two places for people. */
  readonly from: string;
  readonly to: string;
  readonly world: World;
  /** The keyring of the log, to check its MACs. */
  readonly keyring: Keyring;
  /** Whether to copy keys that are in the source itself and open its data keys. */
  readonly storeKeys: boolean;
  readonly progress: (step: { readonly number: number; readonly slots: number }) => void;
  /** How long a store that does not reply is retried. Default 30,000. */
  readonly patienceMs?: number;
}

export interface Copied {
  readonly partitions: readonly CopiedPartition[];
  readonly dataKeys: number;
}

/** `state` last, so that the events that others refer to are in the copy as well. */
const order: readonly Partition[] = ['audit', 'presence', 'attempts', 'state'];
/** Passes for a log in use: the last one copies events that were appended during the previous one. */
const maxPasses = 10;
const little = 64;

/**
 * Makes a copy of a log in use: of each partition the beginning, up to where it was during the copy, with the
 * vault as it is at the end. Nothing is changed at the source. The copy has a mark: it can be read, verified
 * and exported, and no auth server opens it before `promoteCopy`. Run again into the same store, it
 * continues, or brings the copy up to date.
 * @throws CodedError `already_exists` when the target holds anything else; `damaged` when the source is;
 *   `unavailable` when the source is not whole or has moved; `bad_request`, `not_found` as when a log is
 *   moved.
 */
export async function copyLog(options: CopyOptions): Promise<Copied> {
  const { source, target, world, keyring } = options;
  await refuseUnfinished(source);
  if (await isEmpty(source)) throw new CodedError('not_found', `there is no log in ${options.from}`);
  if (!options.storeKeys) await refuseStoreKeys(source, options.to);
  const authenticity = await readAuthenticity({ vault: source.vault, keyring });
  return withLog({ driver: source, world, authenticity }, async (from) => {
    refuseMoved(from);
    const mark = await claim(options);
    const copies = new Map(
      order.map((partition) => [
        partition,
        new SlotCopy({ partition, source, target, patienceMs: options.patienceMs ?? 30_000 }),
      ]),
    );
    const dataKeys = await copyAll(from, [...copies.values()], options);
    const copied = partitions.flatMap((partition) => copies.get(partition)?.copied ?? []);
    for (const one of copied) await compareHead(one, target, options.to);
    await changeMark(target, { ...mark, wholeAt: world.now() });
    return { partitions: copied, dataKeys };
  });
}

/**
 * Snapshots before slots, so that none refers to a slot that the copy lacks; data keys after, so that every
 * secret has its key.
 */
async function copyAll(
  from: ClusterLog,
  copies: readonly SlotCopy[],
  { source, target, storeKeys, progress, from: place }: CopyOptions,
): Promise<number> {
  const blobs = new BlobCopy(source, target, storeKeys);
  for (let number = 1; ; number++) {
    await blobs.snapshots();
    let slots = 0;
    for (const copy of copies) slots += await copy.pass(await lastSlot(from, copy));
    const dataKeys = await blobs.vault();
    await blobs.meta();
    progress({ number, slots });
    if (slots > little && number < maxPasses) continue;
    try {
      await requireSnapshots(target, copies, place);
      return dataKeys;
    } catch (e) {
      // A partition was trimmed between its snapshot and its slots: the newer snapshot exists by now.
      if (number >= 2 * maxPasses) throw e;
    }
  }
}

function refuseMoved(log: ClusterLog): void {
  const stats = log.stats();
  for (const partition of partitions) {
    const { fence } = stats[partition];
    if (fence !== undefined) throw new CodedError('unavailable', fence.reason);
  }
}

async function claim({ target, to, from, world }: CopyOptions): Promise<CopyMark> {
  const mark = await readMark(target);
  if (mark === undefined) {
    if (!(await isEmpty(target)))
      throw new CodedError('already_exists', `${to} holds a log already: name an empty store`);
    const made = { kind: 'clone', id: world.uuid(), from, begunAt: world.now() } as const;
    await writeMark(target, made);
    return { version: 1, ...made };
  }
  if (mark.kind !== 'clone' || mark.from !== from) throw refusedByMark(mark, to);
  const { version, kind, id, begunAt } = mark;
  const unfinished = { version, kind, id, from, begunAt };
  await changeMark(target, unfinished);
  return unfinished;
}

/**
 * Makes a copy the log of a live cluster. From here on it is a different log from the one it was copied from;
 * `log.migrated` on it records that, and the original. May be run again after it was stopped.
 * @throws CodedError `not_found` when the store does not hold a complete copy.
 */
export async function promoteCopy(options: {
  readonly store: SlotDriver;
  readonly world: World;
  readonly keyring: Keyring;
  readonly cause: Cause;
}): Promise<void> {
  const { store, world, keyring, cause } = options;
  const mark = await wholeCopy(store);
  const authenticity = await readAuthenticity({ vault: store.vault, keyring });
  await withLog({ driver: store, world, authenticity }, async (log) => {
    const stats = log.stats();
    const heads = partitions.map((partition) => {
      const { slot: last, position, hash: head } = stats[partition];
      return { partition, lastSlot: last, position, head };
    });
    for (const partition of partitions)
      await decide(log, partition, cause, async () =>
        (await wasPromoted(log, partition, mark.id)) ? undefined : migrated(mark.id, mark.from, heads),
      );
  });
  await removeMark(store);
}

/**
 * What is known of a copy that could be promoted. @throws CodedError `not_found` when the store does not hold
 * one.
 */
export async function wholeCopy(store: SlotDriver): Promise<CopyMark & { readonly wholeAt: string }> {
  const mark = await readMark(store);
  if (mark?.wholeAt === undefined)
    throw new CodedError(
      'not_found',
      mark === undefined
        ? 'this store does not hold a copy made by tctl log copy: there is nothing to promote'
        : 'the copy in this store is not whole: run the same tctl log copy again',
    );
  return { ...mark, wholeAt: mark.wholeAt };
}

async function wasPromoted(log: ClusterLog, partition: Partition, id: string): Promise<boolean> {
  for await (const { fact } of log[partition].read(fenceStream(partition)))
    if (fact.type === 'log.migrated' && (fact.data as { copy?: unknown }).copy === id) return true;
  return false;
}
