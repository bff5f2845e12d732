import { z } from 'zod';
import { cleanedText } from '../base/clean-text.ts';
import type { Instant } from '../base/time.ts';
import {
  isInForce,
  type LockFact,
  lockFact,
  lockLimits,
  type LockNotice,
  type LockSubject,
  lockTarget,
  type LockTarget,
  targetsOf,
} from '../domain/lock.ts';
import { idInStream } from '../domain/streams.ts';
import type { Recorded } from '../log/event.ts';
import { foldEntity, type Folding, storedEntities, type Withheld } from './entities.ts';
import { type IdIndex, idIndexOf, idsUnder, noIds, withId, withoutId } from './id-index.ts';
import { type Reading, readFact, typesOf } from './read-fact.ts';
import { emptyTable, entriesOf, type Entry, getIn, removeIn, setIn, type Table, tableFrom } from './table.ts';
import type { Projection } from './view.ts';

export interface LockEntry extends LockNotice {
  readonly id: string;
  /** Undefined: until it is ended. */
  readonly expiresAt?: Instant | undefined;
  readonly createdAt: Instant;
  /** The actor that locked. */
  readonly by: string;
}

/** Locks that were not ended, by id. They may have expired, which the caller checks. */
export interface LocksState {
  readonly known: Table<LockEntry>;
  /**
   * Locks that this release cannot read. If the target of such a lock can be read it is in `known` anyway,
   * without an end: treating it as missing would let somebody in.
   */
  readonly unreadable: Table<Withheld<LockEntry>>;
  /** Ids of the locks in `known`, by `keyOf` their target. */
  readonly byTarget: IdIndex;
}

const types = typesOf(lockFact);

export const locksView: Projection<LocksState> = {
  name: 'locks.1',
  initial: { known: emptyTable, unreadable: emptyTable, byTarget: noIds },
  apply(locks, event) {
    const id = idInStream(event.stream, 'lock');
    if (id === undefined) return locks;
    const reading = readFact(lockFact, types, event);
    if (reading.status === 'ignored') return locks;
    const lock = lockAfter(getIn(locks.known, id), reading, event, id);
    const unreadable = unreadableAfter(locks, id, reading);
    const after = withLock(locks, id, lock);
    return after === locks && unreadable === locks.unreadable ? locks : { ...after, unreadable };
  },
  encode: storedEntities,
  decode: (stored) => {
    const { known, unreadable } = stored as {
      readonly known: readonly Entry<LockEntry>[];
      readonly unreadable: readonly Entry<Withheld<LockEntry>>[];
    };
    return {
      known: tableFrom(known),
      unreadable: tableFrom(unreadable),
      byTarget: idIndexOf(known.map(([id, { target }]) => [keyOf(target), id])),
    };
  },
};

const keyOf = ({ kind, name }: LockTarget): string => `${kind}:${name}`;

function lockAfter(
  before: LockEntry | undefined,
  reading: Exclude<Reading<LockFact>, { status: 'ignored' }>,
  event: Recorded,
  id: string,
): LockEntry | undefined {
  if (reading.status === 'unreadable') return before ?? barely(event, id);
  const { fact } = reading;
  if (fact.type === 'lock.ended') return undefined;
  return before ?? { id, ...fact.data, createdAt: event.cause.at, by: event.cause.actor };
}

const bareLock = z.object({ target: lockTarget, message: z.unknown().optional() });

/** For a lock that a newer release wrote: whom it locks, when that can be read. */
function barely({ fact, cause }: Recorded, id: string): LockEntry | undefined {
  if (fact.type !== 'lock.created') return undefined;
  const read = bareLock.safeParse(fact.data);
  if (!read.success) return undefined;
  const { target, message } = read.data;
  const text = typeof message === 'string' ? cleanedText(message).slice(0, lockLimits.messageLength) : '';
  return { id, target, message: text, createdAt: cause.at, by: cause.actor };
}

function withLock(locks: LocksState, id: string, lock: LockEntry | undefined): LocksState {
  const before = getIn(locks.known, id);
  if (before === lock) return locks;
  const { known, byTarget } = locks;
  if (lock !== undefined)
    return {
      ...locks,
      known: setIn(known, id, lock),
      byTarget: withId(byTarget, keyOf(lock.target), id),
    };
  if (before === undefined) return locks;
  return { ...locks, known: removeIn(known, id), byTarget: withoutId(byTarget, keyOf(before.target), id) };
}

const reported: Folding<LockEntry, LockFact> = {
  evolve: () => undefined,
  settles: ({ type }) => type === 'lock.ended',
};

const unreadableAfter = (
  { unreadable }: LocksState,
  id: string,
  reading: Reading<LockFact>,
): LocksState['unreadable'] =>
  foldEntity({ known: emptyTable, unreadable }, id, reading, reported).unreadable;

/** The lock that keeps this subject out now, by the reader's clock; undefined when there is none. */
export const lockOn = (locks: LocksState, subject: LockSubject, now: Instant): LockEntry | undefined =>
  locksOn(locks, subject, now)[0];

/** All locks that keep this subject out now, by the reader's clock. */
export function locksOn(locks: LocksState, subject: LockSubject, now: Instant): readonly LockEntry[] {
  if (locks.byTarget.size === 0) return [];
  return targetsOf(subject).flatMap((target) =>
    idsUnder(locks.byTarget, keyOf(target)).flatMap((id) => {
      const lock = getIn(locks.known, id);
      return lock !== undefined && isInForce(lock, now) ? [lock] : [];
    }),
  );
}

/** Locks in force now, the oldest first. */
export const locksInForce = ({ known }: LocksState, now: Instant): readonly LockEntry[] =>
  entriesOf(known)
    .map(([, lock]) => lock)
    .filter((lock) => isInForce(lock, now))
    .sort((a, b) =>
      a.createdAt === b.createdAt ? (a.id < b.id ? -1 : 1) : a.createdAt < b.createdAt ? -1 : 1,
    );

/** Ids of locks that had expired by then, and that this release can read completely. */
export const expiredLocks = ({ known, unreadable }: LocksState, by: Instant): readonly string[] =>
  entriesOf(known).flatMap(([id, lock]) =>
    isInForce(lock, by) || getIn(unreadable, id) !== undefined ? [] : [id],
  );

/** Whether there is a lock with that id that was not ended, as far as this release knows. */
export const isLockKnown = ({ known, unreadable }: LocksState, id: string): boolean =>
  getIn(known, id) !== undefined || getIn(unreadable, id) !== undefined;
