import { CodedError, isCoded } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { earliest, minute } from '../../base/time.ts';
import type { World } from '../../base/world.ts';
import { auditFact, type AuditFact, toldFact, type ToldFact } from '../../domain/audit.ts';
import type { ParsedAuditEvent } from '../../domain/audit-event.ts';
import { auditFromAttempts } from '../../domain/audit-from-attempts.ts';
import { toldAttemptsStream } from '../../domain/streams.ts';
import { afterConflicts } from '../../log/after-conflicts.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import type { Position, Revision } from '../../log/event.ts';
import { ownCause } from '../own-cause.ts';
import { sharedLook } from '../shared-look.ts';
import { startUpkeep, type Upkeep } from '../upkeep.ts';

/**
 * Tells the audit what happened in `attempts`, which is trimmed: each attempt once and in order, whichever
 * auth server does it, and also after one that recorded an attempt was killed. Before a snapshot of
 * `attempts`, and before the audit is searched, everything until then has been told.
 */
export interface AttemptsTeller {
  /** Resolves when everything that is in `attempts` now is in the audit. */
  tell(): Promise<void>;
  /**
   * The same before a part of `attempts` may be trimmed: also records how far that is, whatever there was to
   * tell of it.
   */
  tellBeforeTrim(): Promise<void>;
  /** What is in `attempts` after this position may not be in the audit: it takes nothing, or just now. */
  toldUntil(): Promise<Position>;
  /** An attempt was recorded: tells of it when nothing else is under way; failures are left to `upkeep`. */
  soon(): void;
  readonly upkeep: Upkeep;
  close(): Promise<void>;
}

/** So many events go into one append. */
const mostTogether = 128;
/** What another server recorded and did not tell, since it was killed, is told after this time. */
const everyMs = minute;

/** An event of `attempts`. */
interface Place {
  readonly position: Position;
  readonly id: string;
}

/** How far the audit has been told. */
interface Told {
  readonly revision: Revision;
  readonly position: Position;
}

export interface TellingParts {
  readonly log: Pick<ClusterLog, 'archive' | 'attempts' | 'audit'>;
  readonly world: World;
  readonly sink: LogSink;
  /** Of this auth server. */
  readonly hostId: string;
}

export function tellAttempts(deps: TellingParts): AttemptsTeller {
  const { log } = deps;
  let told: { readonly revision: Revision; readonly place: Place } | undefined;

  /**
   * Where the store went back, other events have the positions of those that were told: what is kept is told
   * once more, and nothing is left out.
   */
  const stillHeld = async ({ position, id }: Place): Promise<Position> =>
    (await log.attempts.holds(position, id)) ? position : log.attempts.positionBefore(earliest);

  /**
   * The last event of the stream says how far. Where even that was deleted from the archive, nothing is left
   * of what was told: what `attempts` still has is then in the audit once.
   */
  const readTold = async (): Promise<Told> => {
    const revision = await log.audit.revision(toldAttemptsStream);
    if (revision === 0) return { revision, position: 0 };
    if (told?.revision === revision) return { revision, position: await stillHeld(told.place) };
    try {
      return await readLast(revision);
    } catch (e) {
      if (log.archive === undefined || !isCoded(e, 'cursor_too_old')) throw e;
      return { revision, position: await log.attempts.positionBefore(earliest) };
    }
  };

  const readLast = async (revision: Revision): Promise<Told> => {
    for await (const { fact } of log.audit.read(toldAttemptsStream, revision - 1)) {
      const place = toldFact.safeParse(fact).data?.data.until ?? auditFact.parse(fact).data.attempt;
      if (place === undefined) continue;
      told = { revision, place };
      return { revision, position: await stillHeld(place) };
    }
    throw new CodedError('damaged', `the audit does not say how far ${toldAttemptsStream} has come`);
  };

  const append = async (
    from: Told,
    facts: readonly (AuditFact | ToldFact)[],
    place: Place,
  ): Promise<Told> => {
    await log.audit.append([{ stream: toldAttemptsStream, expected: from.revision, facts }], ownCause(deps));
    const revision = from.revision + facts.length;
    told = { revision, place };
    return { revision, position: place.position };
  };

  /** All events of an attempt are in one append: the position of the last says that those before are told. */
  const tellOnce = async (records: boolean): Promise<void> => {
    let at = await readTold();
    let read: Place = { position: at.position, id: '' };
    let waiting: AuditFact[] = [];
    const flush = async (): Promise<void> => {
      if (waiting.length > 0) at = await append(at, waiting, read);
      waiting = [];
    };
    for await (const recorded of log.attempts.history(at.position)) {
      const place = { position: recorded.position, id: recorded.id };
      read = place;
      waiting.push(...auditFromAttempts(recorded).map((event) => tells(event, place)));
      if (waiting.length >= mostTogether) await flush();
    }
    await flush();
    if (records && read.position > at.position)
      await append(at, [{ type: 'attempts.told', data: { until: read } }], read);
  };

  let records = false;
  const tellAll = async (): Promise<void> => {
    const now = records;
    records = false;
    // Another auth server tells the same.
    await afterConflicts(() => tellOnce(now));
  };

  // What is under way may have begun before the attempt that the caller means.
  const monotonic = (): number => deps.world.monotonic();
  const tell = sharedLook(tellAll, 0, monotonic);
  const upkeep = startUpkeep({
    act: tell,
    everyMs,
    sink: deps.sink,
    warning: 'logins could not be told to the audit',
    late: 'logins are recorded, and not in the audit yet',
  });
  const soon = sharedLook(() => upkeep.run(), 0, monotonic);
  return {
    tell,
    tellBeforeTrim: () => {
      records = true;
      return tell();
    },
    toldUntil: async () => (await readTold()).position,
    soon: () => void soon(),
    upkeep,
    close: () => upkeep.close(),
  };
}

const tells = (event: ParsedAuditEvent, attempt: Place): AuditFact => ({
  type: 'audit.recorded',
  data: { event, attempt },
});
