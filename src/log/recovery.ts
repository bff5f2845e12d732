import { CodedError, isCoded } from '../base/errors.ts';
import { type Batch } from './batch.ts';
import { ownHash } from './own-hash.ts';
import type { EventLog } from './event-log.ts';
import type { Cause, Fact, Partition, Position, Recorded, StreamName } from './event.ts';
import type { PartitionReader } from './partition-reader.ts';
import type { MissingEvent, Recovered, RecoveryReport, RecoveryStep } from './recovery-report.ts';
import { recoveryStream } from './recovery-stream.ts';
import { newestHasMac } from './seal-old-log.ts';
import type { SlotDriver } from './slot-driver.ts';

/*
 * Recovery after a store went back: this process knows more than the store holds. It can write back to the
 * store what it still knows, or continue from what the store has. See docs/rfd/0018-what-a-store-promises.md.
 */

/** The log in the state of the store, to append behind it. */
export interface StoreBranch {
  readonly log: Pick<EventLog, 'append' | 'read' | 'revision'>;
  /** Appends an event again, with its own id and sealed secrets. @throws CodedError `conflict` */
  appendAgain(event: Recorded): Promise<Position>;
  readonly close: () => Promise<void>;
}

export interface RecoveryParts {
  readonly driver: SlotDriver;
  readonly reader: PartitionReader;
  readonly openBranch: () => Promise<StoreBranch>;
  /** The key of the MACs may be lost with the rest. */
  readonly keepKey: () => Promise<void>;
}

/** Streams for the upkeep of the log: their facts were about the lost branch. */
const housekeeping = /^(?:archive|compaction|fence|heads|recovery)-/;
/** Events that the fact names one by one. */
const named = 200;

/** What is known here and what the store holds. Changes nothing. */
export async function reportRecovery({ driver, reader }: RecoveryParts): Promise<RecoveryReport> {
  const { partition } = reader.fold;
  try {
    await reader.catchUp();
  } catch (e) {
    if (reader.condition?.status !== 'went back') throw e;
  }
  const { condition } = reader;
  const { head } = await driver.bounds(partition);
  if (condition?.status !== 'went back')
    return {
      partition,
      status: 'whole',
      known: reader.fold.slot,
      head,
      common: reader.fold.slot,
      held: [],
      forgotten: 0,
    };
  const known = Math.max(condition.slot, reader.fold.slot);
  const held = heldBatches(reader);
  const common = await newestInCommon(driver, reader, held);
  const missing = held.filter(({ slot }) => common === undefined || slot > common);
  const firstLost = missing[0]?.slot ?? known + 1;
  const forgotten = common === undefined ? known - Math.min(known, missing.length) : firstLost - common - 1;
  return {
    partition,
    status: 'went back',
    known,
    head,
    common,
    held: missing.flatMap(({ events }) => events).map(namesOf),
    forgotten,
    ...(reader.isAuthentic && head > 0 && !(await newestHasMac(driver, partition)) && { withoutMacs: true }),
  };
}

/** @throws CodedError `unavailable` when the store does not accept it: then it can be tried again. */
export async function recover(parts: RecoveryParts, step: RecoveryStep, cause: Cause): Promise<Recovered> {
  const report = await reportRecovery(parts);
  const { partition } = report;
  if (report.status === 'whole')
    return { partition, status: 'was whole', givenBack: [], lost: [], forgotten: 0 };
  await parts.keepKey();
  const before = { slot: report.known, hash: parts.reader.fold.hash.toString('hex') };
  const result =
    step === 'go on'
      ? { givenBack: [], lost: report.held }
      : report.common === report.head && report.forgotten === 0
        ? await giveBackBatches(parts, report)
        : await giveBackEvents(parts, report);
  const recovered: Recovered = {
    partition,
    status: step === 'go on' ? 'went on' : 'given back',
    ...result,
    forgotten: report.forgotten,
  };
  await tell(parts, recovered, { before, report, cause });
  await parts.reader.beginAgain();
  return recovered;
}

/**
 * The store ends where both agree: the same bytes are written back, so that every process that knew them
 * continues.
 */
async function giveBackBatches(
  { driver, reader }: RecoveryParts,
  { partition, head, known, held }: RecoveryReport,
): Promise<Pick<Recovered, 'givenBack' | 'lost'>> {
  for (let slot = head + 1; slot <= known; slot++) {
    const stored = reader.recent.stored(slot);
    const batch = reader.recent.get(slot);
    if (stored === undefined || batch === undefined) throw new Error(`bug: slot ${slot} is not held`);
    const answer = await driver.append(partition, { slot: slot - 1, hash: batch.previous }, stored);
    if (answer.status === 'committed') continue;
    // Another auth server may be giving back the same.
    if (answer.status === 'taken' && (await holdsSame(driver, partition, batch))) continue;
    throw new CodedError(
      'unavailable',
      `slot ${slot} of the ${partition} log was written by another meanwhile: try again`,
    );
  }
  return { givenBack: held, lost: [] };
}

/**
 * The store has continued since, or part of what it lost is not held: each event whose stream has not changed
 * is written back.
 */
async function giveBackEvents(
  { reader, openBranch }: RecoveryParts,
  { common }: RecoveryReport,
): Promise<Pick<Recovered, 'givenBack' | 'lost'>> {
  const givenBack: MissingEvent[] = [];
  const lost: MissingEvent[] = [];
  /** Events after one that was not written back depend on it, and are not written back either. */
  const broken = new Set<StreamName>();
  const branch = await openBranch();
  try {
    for (const { slot, events } of heldBatches(reader)) {
      if (common !== undefined && slot <= common) continue;
      for (const event of events) {
        const isBack = !broken.has(event.stream) && (await giveBackEvent(branch, event));
        if (!isBack) broken.add(event.stream);
        (isBack ? givenBack : lost).push(namesOf(event));
      }
    }
  } finally {
    await branch.close();
  }
  return { givenBack, lost };
}

/**
 * False when its stream has changed, or must not come back. Others may write to it, or write it back, at the
 * same time.
 */
async function giveBackEvent(branch: StoreBranch, event: Recorded): Promise<boolean> {
  for (;;) {
    if (await isThere(branch.log, event)) return true;
    if (housekeeping.test(event.stream)) return false;
    // Between the two looks another process may have written back this very event.
    if ((await branch.log.revision(event.stream)) !== event.revision - 1) return isThere(branch.log, event);
    try {
      await branch.appendAgain(event);
      return true;
    } catch (e) {
      if (!isCoded(e, 'conflict')) throw e;
    }
  }
}

/** Whether this very event is at its place in its stream. Trimmed events are not. */
async function isThere(log: Pick<EventLog, 'read'>, { id, stream, revision }: Recorded): Promise<boolean> {
  try {
    for await (const found of log.read(stream, revision - 1)) return found.id === id;
  } catch (e) {
    if (!isCoded(e, 'cursor_too_old')) throw e;
  }
  return false;
}

async function tell(
  { openBranch }: RecoveryParts,
  { partition, status, givenBack, lost, forgotten }: Recovered,
  { before, report, cause }: { before: { slot: number; hash: string }; report: RecoveryReport; cause: Cause },
): Promise<void> {
  const fact: Fact = {
    type: 'log.recovered',
    data: {
      how: status,
      known: before,
      head: report.head,
      common: report.common ?? null,
      firstLost: report.forgotten > 0 ? null : (report.held[0]?.position ?? null),
      givenBack: givenBack.length,
      lost: lost.length,
      forgottenSlots: forgotten,
      lostEvents: lost.slice(0, named),
    },
  };
  for (;;) {
    const { log, close } = await openBranch();
    try {
      const stream = recoveryStream(partition);
      await log.append([{ stream, expected: await log.revision(stream), facts: [fact] }], cause);
      return;
    } catch (e) {
      // Another auth server has just recorded the same.
      if (!isCoded(e, 'conflict')) throw e;
    } finally {
      await close();
    }
  }
}

/** The batches that are held without a gap up to the newest, the oldest first. */
function heldBatches({ recent, fold }: PartitionReader): Batch[] {
  const held: Batch[] = [];
  for (let slot = fold.slot; ; slot--) {
    const batch = recent.get(slot);
    if (batch === undefined) return held.reverse();
    held.push(batch);
  }
}

async function newestInCommon(
  driver: SlotDriver,
  { fold }: PartitionReader,
  held: readonly Batch[],
): Promise<number | undefined> {
  const first = held[0];
  // The hash of the batch before the first that is held is known as well.
  const ours = new Map<number, Buffer>(held.map(({ slot, hash }) => [slot, hash]));
  if (first !== undefined) ours.set(first.slot - 1, first.previous);
  else ours.set(fold.slot, fold.hash);
  const from = Math.min(...ours.keys());
  if (from === 0) ours.delete(0);
  let common = from === 0 ? 0 : undefined;
  for await (const { slot, batch } of driver.read(fold.partition, Math.max(1, from))) {
    const hash = ours.get(slot);
    if (hash === undefined) break;
    if (!ownHash(batch).equals(hash)) break;
    common = slot;
  }
  return common;
}

async function holdsSame(driver: SlotDriver, partition: Partition, { slot, hash }: Batch): Promise<boolean> {
  for await (const found of driver.read(partition, slot))
    return found.slot === slot && ownHash(found.batch).equals(hash);
  return false;
}

const namesOf = ({ position, stream, fact, cause }: Recorded): MissingEvent => ({
  position,
  stream,
  type: fact.type,
  at: cause.at,
});
