import { z } from 'zod';
import { isCoded } from '../base/errors.ts';
import { instant } from '../base/time.ts';
import type { EventLog } from './event-log.ts';
import type { Cause, Fact, Partition, Position, Recorded, Revision, StreamName } from './event.ts';

/*
 * What the log says of its archive: facts in `state`, which is kept whole, signed and never in the archive
 * itself. They prove that what the store does not have any more was moved there, or was deleted there when
 * its time was over, and nothing else.
 */

/** The stream, in `state`, of a partition's archive. */
export const archiveStream = (partition: Partition): StreamName => `archive-${partition}`;

const natural = z.number().int().positive();
const hex32 = z.string().regex(/^[0-9a-f]{64}$/);

/** A place in the chain: a slot, the position of its last event, its own hash. */
const end = { slot: natural, position: natural, hash: hex32 };

/** One segment. */
const archived = z.object({
  partition: z.string(),
  /** The first slot that it has; `end` is of its last. */
  firstSlot: natural,
  ...end,
  from: instant,
  until: instant,
  /** Where to, for people. */
  place: z.string(),
});
const deleted = z.object({
  partition: z.string(),
  /** The last slot that was deleted: all up to it are. */
  ...end,
  until: instant,
  place: z.string(),
});
export type Archived = z.output<typeof archived>;
export type ArchiveDeleted = z.output<typeof deleted>;

export const archivedFact = (data: Archived): Fact => ({ type: 'log.archived', data });
export const archiveDeletedFact = (data: ArchiveDeleted): Fact => ({ type: 'log.archive_deleted', data });
/** Undefined for any other fact. */
export const readArchiveDeleted = ({ type, data }: Fact): ArchiveDeleted | undefined =>
  type === 'log.archive_deleted' ? deleted.safeParse(data).data : undefined;

/** What the facts say together. */
export interface ArchiveRecord {
  /** In order, without what was deleted. */
  readonly moved: readonly Archived[];
  readonly deleted: ArchiveDeleted | undefined;
}

export const emptyRecord: ArchiveRecord = { moved: [], deleted: undefined };

/** A fact of another type, or in a form that this version does not know, changes nothing. */
export function afterFact(record: ArchiveRecord, fact: Fact): ArchiveRecord {
  const gone = readArchiveDeleted(fact);
  if (gone) return { moved: record.moved.filter(({ slot }) => slot > gone.slot), deleted: gone };
  const more = fact.type === 'log.archived' ? archived.safeParse(fact.data).data : undefined;
  if (more === undefined) return record;
  // After the store went back, what it then had is moved again: what was said of those slots before is of the
  // lost branch.
  const before = record.moved.filter(({ slot }) => slot < more.firstSlot);
  return { ...record, moved: [...before, more] };
}

/** The last slot that the log says is not in the store any more; 0: it has all. */
export const movedUpTo = ({ moved, deleted: gone }: ArchiveRecord): number =>
  Math.max(moved.at(-1)?.slot ?? 0, gone?.slot ?? 0);

/** What the log says of the chain at a slot where something was moved or deleted. */
export const chainAt = (
  { moved, deleted: gone }: ArchiveRecord,
  slot: number,
): { readonly hash: string; readonly position: Position } | undefined =>
  moved.find((one) => one.slot === slot) ?? (gone?.slot === slot ? gone : undefined);

/** The record of one log, read as far as it goes at each call; what was read is remembered. */
export class ArchiveRecords {
  readonly #state: Pick<EventLog, 'read' | 'append' | 'revision'>;
  readonly #stream: StreamName;
  #revision: Revision = 0;
  #lastId: string | undefined;
  #record = emptyRecord;

  constructor(state: Pick<EventLog, 'read' | 'append' | 'revision'>, partition: Partition) {
    this.#state = state;
    this.#stream = archiveStream(partition);
  }

  /** As of the newest commit. */
  async read(): Promise<ArchiveRecord> {
    // The last one that is known is read again: after the store went back there may be another in its place.
    const known = this.#revision;
    let isSame = known === 0;
    for await (const event of this.#state.read(this.#stream, Math.max(0, known - 1))) {
      if (event.revision === known) isSame = event.id === this.#lastId;
      else if (isSame) this.#take(event);
      if (!isSame) break;
    }
    if (isSame) return this.#record;
    this.#forget();
    for await (const event of this.#state.read(this.#stream)) this.#take(event);
    return this.#record;
  }

  /** Appends after what `read` returned last. False when another process did meanwhile. */
  async append(fact: Fact, cause: Cause): Promise<boolean> {
    try {
      const writes = [{ stream: this.#stream, expected: this.#revision, facts: [fact] }];
      await this.#state.append(writes, cause);
      return true;
    } catch (e) {
      if (isCoded(e, 'conflict')) return false;
      throw e;
    }
  }

  #take({ revision, id, fact }: Recorded): void {
    this.#record = afterFact(this.#record, fact);
    this.#revision = revision;
    this.#lastId = id;
  }

  #forget(): void {
    this.#record = emptyRecord;
    this.#revision = 0;
    this.#lastId = undefined;
  }
}
