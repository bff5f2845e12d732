import type { LogSink } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import { CodedError, isCoded } from '../base/errors.ts';
import type { Compacted, ViewState } from './event-log.ts';
import type { Archiving } from './archiving.ts';
import { carriedStates } from './carried-states.ts';
import { encodeViews } from './encoded-views.ts';
import type { Cause, Fact, Position, Revision, StreamName } from './event.ts';
import type { IndexUpkeep } from './index-upkeep.ts';
import { joins } from './joins.ts';
import type { Milestones } from './milestones.ts';
import { compactionStream, type PartitionFold } from './partition-fold.ts';
import type { PartitionReader } from './partition-reader.ts';
import type { SlotDriver } from './slot-driver.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import type { TermIndex } from './term-index.ts';

export interface CompactionDeps {
  readonly driver: SlotDriver;
  readonly reader: PartitionReader;
  readonly snapshots: SnapshotStore;
  readonly milestones: Milestones;
  readonly upkeep: IndexUpkeep;
  readonly terms: Pick<TermIndex, 'forgetUpTo'>;
  readonly world: Pick<World, 'now'>;
  readonly writer: string;
  /** Where what is trimmed goes before; undefined: nowhere. */
  readonly archiving?: Archiving | undefined;
  readonly append: (stream: StreamName, expected: Revision, fact: Fact, cause: Cause) => Promise<Position>;
}

export interface SnapshotOptions {
  readonly trim: boolean;
  /** Whether the caller then appends the first batch that has a MAC. */
  readonly seals?: boolean;
  /** Views whose states are kept for good. */
  readonly milestones?: readonly string[];
}

/** See `ClusterLog.takeSnapshot`. */
export async function takeSnapshot(
  deps: CompactionDeps,
  views: readonly ViewState[],
  { trim, seals = false, milestones: named = [] }: SnapshotOptions,
  cause: Cause,
): Promise<Compacted> {
  const { reader, snapshots, milestones, upkeep, writer } = deps;
  const own = await encodeViews(views);
  const { partition } = reader.fold;
  const stream = compactionStream(partition);
  await reader.catchUp();
  await upkeep.adopt(reader.fold);
  await reader.fold.recall([stream]);
  const epoch = reader.fold.revision(stream) + 1;
  try {
    await deps.append(stream, epoch - 1, { type: 'compaction.begun', data: { epoch, writer } }, cause);
  } catch (e) {
    if (isCoded(e, 'conflict')) return { status: 'superseded' };
    throw e;
  }
  const all = [...own, ...(await encodeViews(await carriedStates(snapshots, views)))];
  const { fold } = reader;
  const { position, slot } = fold;
  const takenAt = deps.world.now();
  const place = { position, slot, hash: fold.hash.toString('hex'), takenAt };
  try {
    const about = { floor: floorOf(fold, all), takenAt, epoch, seals };
    await snapshots.write(fold, all, about);
  } catch (e) {
    if (!isCoded(e, 'damaged')) throw e;
    await upkeep.repair(fold);
    throw new CodedError('unavailable', 'the index of streams was damaged; the next snapshot replaces it', {
      cause: e,
    });
  }
  await reader.catchUp();
  await reader.fold.recall([stream]);
  if (reader.fold.revision(stream) !== epoch) return { status: 'superseded' };
  const older = await snapshots.prune();
  await milestones.keep(lastingOf(views, named, position), place, seals);
  if (!trim || older === undefined || older.floor <= 1)
    return { status: 'taken', position, trimmedBefore: undefined };
  const trimmedBefore = await trimOrMove(deps, older.floor, cause);
  return { status: 'taken', position, trimmedBefore };
}

/**
 * What was moved can still be read: only what was deleted there is forgotten. What was moved before a failure
 * is moved; and an archive that is full has space again when what is older than it is kept was deleted.
 */
async function trimOrMove(
  { driver, reader, archiving, terms }: CompactionDeps,
  floor: number,
  cause: Cause,
): Promise<number> {
  const { partition } = reader.fold;
  if (archiving === undefined) {
    await driver.trim(partition, floor);
    reader.forgetBefore(floor);
    return floor;
  }
  const { before, failure } = await archiving.moveOut(floor, cause);
  await driver.trim(partition, before);
  if (failure !== undefined && !isCoded(failure, 'no_space')) throw failure;
  const gone = await archiving.deleteOld(cause);
  if (gone !== undefined) {
    reader.forgetBefore(gone.slot + 1);
    await terms.forgetUpTo(gone.position);
  }
  if (failure !== undefined) throw failure;
  return before;
}

const lastingOf = (
  views: readonly ViewState[],
  named: readonly string[],
  position: Position,
): readonly ViewState[] => views.filter((one) => named.includes(one.name) && one.position <= position);

/**
 * The first slot from which the fold or one of the views continues. The slot of the fold itself stays, to
 * prove it.
 */
function floorOf(fold: PartitionFold, views: readonly Pick<ViewState, 'position'>[]): number {
  const oldest = Math.min(fold.position, ...views.map((one) => one.position));
  return oldest === fold.position ? fold.slot : Math.min(fold.slot, fold.slotBefore(oldest));
}

/** The newest snapshot's fold that joins the content of the store. */
export async function restoreFold(
  driver: SlotDriver,
  snapshots: SnapshotStore,
  sink: LogSink,
): Promise<PartitionFold | undefined> {
  for await (const manifest of snapshots.newestFirst()) {
    if (await joins(driver, manifest)) {
      const fold = await snapshots.fold(manifest);
      if (fold) return fold;
      continue;
    }
    sink.warn('a snapshot is passed over', {
      partition: manifest.partition,
      slot: manifest.slot,
      reason: 'the store does not hold the batch it was taken at',
    });
  }
  return undefined;
}
