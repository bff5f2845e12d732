import { pause } from '../../../base/backoff.ts';
import { CodedError } from '../../../base/errors.ts';
import { freeBytesOf } from '../../../base/free-bytes.ts';
import { type Measured, type MoveStage, planMove } from '../../../log/move-plan.ts';
import type { Room, SlotDriver } from '../../../log/slot-driver.ts';
import { checkTargetPlace } from '../../../process/store/target-place.ts';
import { placeOf, type StorageLocation } from '../../../process/configuration/storage-schema.ts';
import type { CliIo } from '../../cli-io.ts';
import { sizeText } from './log-figures.ts';
import { lookingAt } from './log-stores.ts';

/** The result of checking both stores. */
export interface LookedAt {
  readonly stage: MoveStage;
  /** The size of what would be moved. */
  readonly bytes: number;
  /** For people. */
  readonly lines: readonly string[];
}

/**
 * The most space a store needs for a log of this many bytes: its own overhead, and what it keeps until it is
 * compacted.
 */
const needed = (bytes: number): number => Math.ceil(bytes * 1.5) + 16 * 1024 * 1024;

/**
 * Checks both stores and changes neither: whether the log can be read, whether the target exists, can be
 * written, is empty, and has space.
 * @throws CodedError as `planMove` and `checkTargetPlace`; `no_space`.
 */
export async function lookAhead(
  {
    source,
    target,
    storeKeys,
  }: { readonly source: StorageLocation; readonly target: StorageLocation; readonly storeKeys: boolean },
  io: CliIo,
): Promise<LookedAt> {
  const [from, to] = [placeOf(source), placeOf(target)];
  if (from === to) throw new CodedError('bad_request', `the log is in ${to} already`);
  checkTargetPlace(target);
  return lookingAt(source, io, (there) => {
    if (there === undefined) throw new CodedError('not_found', `there is no log in ${from}`);
    return lookingAt(target, io, async (driver) => {
      const plan = await planMove({ source: there, target: driver, from, to, world: io.world, storeKeys });
      const room = roomAt(target, driver);
      // What an earlier run has copied needs no more space.
      if (plan.stage === 'begins') requireRoom(plan.bytes, room, to);
      return { stage: plan.stage, bytes: plan.bytes, lines: [...sizeLines(plan), roomLine(plan, room)] };
    });
  });
}

function roomAt(target: StorageLocation, driver: SlotDriver | undefined): Room {
  if (target.type === 'dir') return { status: 'known', freeBytes: freeBytesOf(target.path), of: 'disk' };
  if (target.type === 'dynamodb') return { status: 'without end' };
  return driver?.report().room ?? { status: 'not known' };
}

/** How long a store that was just opened may take to report its free space. */
const roomKnownMs = 3_000;

/**
 * The same once the target is open: some stores report it only then.
 * @throws CodedError `no_space`
 */
export async function requireRoomAt(target: SlotDriver, bytes: number, to: string): Promise<void> {
  const room = (): Room => target.report().room ?? { status: 'not known' };
  const end = performance.now() + roomKnownMs;
  while (room().status === 'not known' && performance.now() < end) await pause(50);
  requireRoom(bytes, room(), to);
}

function requireRoom(bytes: number, room: Room, to: string): void {
  if (room.status === 'known' && room.freeBytes < needed(bytes))
    throw new CodedError(
      'no_space',
      `${to} has ${sizeText(room.freeBytes)} left, and the log takes up to ${sizeText(needed(bytes))}: name a larger store`,
    );
}

const sizeLines = ({ partitions }: Measured): string[] =>
  partitions.map(
    ({ partition, slots, bytes }) => `  ${partition.padEnd(8)} ${slots} slots, ${sizeText(bytes)}`,
  );

function roomLine({ bytes }: Measured, room: Room): string {
  const takes = `it takes up to ${sizeText(needed(bytes))} there`;
  switch (room.status) {
    case 'known':
      return `${takes}, and ${sizeText(room.freeBytes)} are left${room.of === 'quota' ? ' of its quota' : ''}`;
    case 'without end':
      return `${takes}; that store has no limit`;
    case 'not known':
      return `${takes}; how much is left is not known`;
  }
}
