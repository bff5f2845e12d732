import { CodedError, isCoded } from '../base/errors.ts';
import type { World } from '../base/world.ts';
import type { Archive } from './archive-read.ts';
import { authenticityKeyId } from './authenticity.ts';
import { decodeBatch } from './batch.ts';
import { putValue, requireSnapshot } from './copy-blobs.ts';
import { openToMove } from './copy-fence.ts';
import { isEmpty } from './copy-parts.ts';
import { type CopyMark, readMark, refusedByMark, removeMark, writeMark } from './copy-mark.ts';
import { Lookahead, SlotCopy } from './copy-slots.ts';
import { type Partition, partitions } from './event.ts';
import { fenceError } from './fence.ts';
import { vaultKey } from './data-keys.ts';
import { runsFolder } from './index-runs.ts';
import type { SlotDriver } from './slot-driver.ts';
import { verifyLog } from './verify.ts';

export interface ImportOptions {
  readonly archive: Archive;
  readonly target: SlotDriver;
  /** The name of the store for people. */
  readonly to: string;
  readonly world: World;
  readonly patienceMs?: number;
}

export interface Imported {
  /**
   * `whole`: into an empty store; `appended`: the parts that a store lacked; `nothing`: it already has all of
   * the archive.
   */
  readonly status: 'whole' | 'appended' | 'nothing';
  readonly partitions: readonly { readonly partition: Partition; readonly slots: number }[];
  readonly dataKeys: number;
}

/**
 * Puts an archive into a store. An empty one gets all of it, and one with a part of the same log gets the
 * rest. One whose log has continued since gets nothing, so that everything revoked since stays revoked, and
 * every destroyed secret stays destroyed. Everything is verified before the first byte is written.
 * @throws CodedError `damaged` for an archive that does not verify; `already_exists` when the store holds
 *   another log, naming the slot, or an unfinished copy; `unavailable` when the log in the store has moved.
 */
export async function importLog(options: ImportOptions): Promise<Imported> {
  const { archive, target } = options;
  await verifyArchive(archive);
  const mark = await ownMark(options);
  const whole = mark === undefined ? await isEmpty(target) : mark.kind === 'import';
  try {
    return await put(options, mark, whole);
  } catch (e) {
    // Its log is a different continuation, and is complete in itself.
    if (!whole && isCoded(e, 'already_exists')) await removeMark(target);
    throw e;
  }
}

async function put(options: ImportOptions, mark: CopyMark | undefined, whole: boolean): Promise<Imported> {
  const { archive, target } = options;
  const lacking = await lackingOf(archive, target);
  if (lacking.length === 0 && mark === undefined) return { status: 'nothing', partitions: [], dataKeys: 0 };
  if (!whole) await refuseClosed(target, options.world);
  if (mark === undefined) await leaveMark(options, whole ? 'import' : 'restore');
  const dataKeys = await putDataKeys(options, whole ? undefined : lacking);
  for (const one of lacking) await putSnapshots(options, one.partition);
  for (const one of lacking) await putSlots(options, one.partition, whole);
  await removeMark(target);
  return {
    status: whole ? 'whole' : 'appended',
    partitions: lacking.map(({ partition, slots }) => ({ partition, slots })),
    dataKeys,
  };
}

async function lackingOf(archive: Archive, target: SlotDriver): Promise<Lacking[]> {
  const all: Lacking[] = [];
  for (const partition of partitions) all.push(await compare(archive, target, partition));
  return all.filter((one) => one.slots > 0);
}

const leaveMark = ({ archive, target, world }: ImportOptions, kind: 'import' | 'restore'): Promise<void> =>
  writeMark(target, { kind, id: archive.digest, from: archive.header.from, begunAt: world.now() });

async function putSlots(
  { archive, target, to, patienceMs = 30_000 }: ImportOptions,
  partition: Partition,
  whole: boolean,
): Promise<void> {
  const copy = new SlotCopy({ partition, source: archive.driver, target, patienceMs, oneByOne: !whole });
  await copy.pass(Number.MAX_SAFE_INTEGER);
  if (copy.copied.firstSlot > 1) await requireSnapshot(target, partition, to);
}

async function verifyArchive({ driver, end }: Archive): Promise<void> {
  const { partitions: found, bad: batch, findings } = await verifyLog(driver);
  const bad = batch ?? findings[0];
  if (bad) throw new CodedError('damaged', `the archive: ${bad.partition}, slot ${bad.slot}: ${bad.reason}`);
  for (const { partition, head, damagedSnapshots, firstSlot } of found) {
    const counted = end.partitions.find((one) => one.partition === partition);
    if (counted?.head !== head)
      throw new CodedError('damaged', `the archive: the head of ${partition} is not the one it ends with`);
    const [damaged] = damagedSnapshots;
    if (damaged)
      throw new CodedError(
        'damaged',
        `the archive: the snapshot of ${partition} at slot ${damaged.slot}: ${damaged.reason}`,
      );
    if (firstSlot > 1) await requireSnapshot(driver, partition, 'the archive');
  }
}

/** The mark that an earlier run of this import left. */
async function ownMark({ archive, target, to }: ImportOptions): Promise<CopyMark | undefined> {
  const mark = await readMark(target);
  if (mark === undefined || (mark.kind !== 'copy' && mark.kind !== 'clone' && mark.id === archive.digest))
    return mark;
  throw refusedByMark(mark, to);
}

/** The missing part of one partition: `slots` of them, all after `after`. */
interface Lacking {
  readonly partition: Partition;
  readonly after: number;
  readonly slots: number;
}

/**
 * Slot by slot, in both at once.
 * @throws CodedError `already_exists` at the first slot that differs.
 */
async function compare(archive: Archive, target: SlotDriver, partition: Partition): Promise<Lacking> {
  const differs = (slot: number): CodedError =>
    new CodedError('already_exists', `the store holds another log: slot ${slot} of ${partition} differs`);
  const ours = new Lookahead(archive.driver.read(partition, 1));
  let first = 0;
  let after = 0;
  for await (const { slot, batch } of target.read(partition, 1)) {
    first ||= slot;
    after = slot;
    const next = await ours.peek();
    if (next && next.slot >= first && next.slot < slot) throw differs(next.slot);
    await ours.skipTo(slot);
    const same = await ours.peek();
    if (same === undefined) return { partition, after, slots: 0 };
    if (same.slot > slot) continue;
    if (Buffer.compare(same.batch, batch) !== 0) throw differs(slot);
    await ours.skipTo(slot + 1);
  }
  // Elsewhere a snapshot can bridge a trimmed beginning; here nothing else shows that it is the same log.
  const next = await ours.peek();
  if (next && partition === 'state' && next.slot !== after + 1) throw differs(next.slot);
  return { partition, after, slots: await ours.count() };
}

/** @throws CodedError `unavailable` for a store whose log has moved, `damaged`. */
async function refuseClosed(target: SlotDriver, world: World): Promise<void> {
  const log = await openToMove(target, world);
  try {
    for (const [name, { fence, damage }] of Object.entries(log.stats())) {
      if (fence) throw fenceError(fence);
      if (damage !== undefined) throw new CodedError('damaged', `the ${name} log is damaged at ${damage}`);
    }
  } finally {
    await log.close();
  }
}

/**
 * All of them, or those of the missing events: one that is gone from the store was destroyed. Keys already in
 * the store stay, since they may have been rewrapped.
 */
async function putDataKeys(
  { archive, target }: ImportOptions,
  lacking: readonly Lacking[] | undefined,
): Promise<number> {
  const there = await archive.driver.vault.list('');
  const wanted = lacking && (await sealedIn(archive, lacking));
  let put = 0;
  for (const key of there) {
    if (wanted && !wanted.has(key)) continue;
    const value = await archive.driver.vault.get(key);
    if (value === undefined) continue;
    if ((await target.vault.create(key, value)) !== 'destroyed') put++;
  }
  if (lacking === undefined) await putStoreKeyring(archive, target);
  return put;
}

/**
 * The keyring in an archive whose log was sealed by its own store. A store whose log continues has its own.
 */
async function putStoreKeyring(archive: Archive, target: SlotDriver): Promise<void> {
  for (const key of await archive.driver.meta.list('')) {
    const value = await archive.driver.meta.get(key);
    if (value !== undefined) await target.meta.create(key, value);
  }
}

async function sealedIn(archive: Archive, lacking: readonly Lacking[]): Promise<ReadonlySet<string>> {
  // The store key of the log itself belongs to all of them.
  const keys = new Set<string>([vaultKey(authenticityKeyId)]);
  for (const { partition, after } of lacking)
    for await (const { batch } of archive.driver.read(partition, after + 1))
      for (const { sealed } of decodeBatch(batch).events)
        for (const { keyId } of Object.values(sealed ?? {})) keys.add(vaultKey(keyId));
  return keys;
}

async function putSnapshots({ archive, target }: ImportOptions, partition: Partition): Promise<void> {
  const { snapshots } = archive.driver;
  const runs = await snapshots.list(runsFolder(partition));
  const keys = [...runs, ...(await snapshots.list(`${partition}/`))];
  // A manifest is written after everything it refers to.
  keys.sort((a, b) => Number(a.endsWith('/manifest')) - Number(b.endsWith('/manifest')));
  for (const key of keys) {
    const value = await snapshots.get(key);
    if (value) await putValue(target.snapshots, key, value);
  }
}
