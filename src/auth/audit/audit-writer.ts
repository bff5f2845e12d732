import { CodedError } from '../../base/errors.ts';
import { audit, type AuditNumbers, type AuditState } from '../../domain/audit.ts';
import type { ParsedAuditEvent } from '../../domain/audit-event.ts';
import { remembers } from '../../domain/recent.ts';
import { auditStream } from '../../domain/streams.ts';
import { afterConflicts } from '../../log/after-conflicts.ts';
import type { EventLog, Write } from '../../log/event-log.ts';
import type { Cause, Position, StreamName } from '../../log/event.ts';
import { KeyedLock } from '../../log/keyed-lock.ts';
import { auditTails } from './audit-tails.ts';

/** Appends audit events, each once even if it is sent several times. */
export interface AuditWriter {
  /**
   * Appends all of them or none, without those that are stored already. `numbered`: by their sender, whose
   * events then share one stream, whatever session they belong to. Without numbers, stored events are
   * recognised by `uid`, as far back as `domain/audit.ts` remembers. Returns the position of the last one, or
   * of the newest event when nothing was new.
   */
  append(events: readonly ParsedAuditEvent[], cause: Cause, numbered?: AuditNumbers): Promise<Position>;
  /**
   * The same for events that were made here, just now, and are never sent again: none can be stored already,
   * so that nothing of what is stored has to be read.
   */
  appendNew(events: readonly ParsedAuditEvent[], cause: Cause): Promise<Position>;
}

/** As `EventLog.read` takes it: as of this position, or undefined for the newest commit. */
type AsOf = Position | undefined;

/**
 * Whether an event was stored before is known from the streams themselves, so it holds over restarts and
 * between auth servers. Unlike `execute`, this reads only the end of a stream: that of a proxy may have
 * millions of events.
 * @param options `hasArchive`: that of the log is known here, so that what cannot be read was deleted there.
 */
export function auditWriter(
  log: EventLog,
  authHostId: string,
  { hasArchive = false }: { readonly hasArchive?: boolean } = {},
): AuditWriter {
  const tails = auditTails(log, hasArchive);
  const locks = new KeyedLock();

  const write = async (
    stream: StreamName,
    events: readonly ParsedAuditEvent[],
    numbered: AuditNumbers | undefined,
    asOf: AsOf,
  ): Promise<Write[]> => {
    const { revision, state } = await tails.read(stream, numbered ? 'numbers' : 'uids', asOf);
    const facts = audit.decide(state, { type: 'record-audit', events, numbered });
    return facts.length === 0 ? [] : [{ stream, expected: revision, facts }];
  };

  const unnumbered = async (
    streams: ReadonlyMap<StreamName, ParsedAuditEvent[]>,
    asOf: AsOf,
  ): Promise<Write[]> => {
    const writes: Write[] = [];
    for (const [stream, events] of streams) writes.push(...(await write(stream, events, undefined, asOf)));
    return writes;
  };

  /** An auth server of the previous release may have stored some of them in the stream of the session. */
  const numberedOnce = async (
    stream: StreamName,
    events: readonly ParsedAuditEvent[],
    numbered: AuditNumbers,
    asOf: AsOf,
  ): Promise<Write[]> => {
    const sessions = new Set(events.filter((one) => one.sid).map((one) => streamFor(one, authHostId)));
    const told: AuditState[] = [];
    const guards = await Promise.all(
      Array.from(sessions, async (session): Promise<Write> => {
        let expected = await log.revision(session, asOf);
        if (expected > 0) {
          const { revision, state } = await tails.read(session, 'uids', asOf);
          told.push(state);
          expected = revision;
        }
        return { stream: session, expected, facts: [] };
      }),
    );
    const isNew = events.map(({ uid }) => !told.some((one) => remembers(one.unnumbered, uid)));
    const writes = await write(
      stream,
      events.filter((_, i) => isNew[i]),
      { ...numbered, numbers: numbered.numbers.filter((_, i) => isNew[i]) },
      asOf,
    );
    return writes.length === 0 ? [] : [...writes, ...guards];
  };

  const untilStored = (write: (asOf: AsOf) => Promise<Write[]>, cause: Cause): Promise<Position> =>
    afterConflicts(async (attempt) => {
      // What is known here is enough: if another process wrote to the stream, the append conflicts, and the
      // stream is read then.
      const writes = await write(attempt === 1 ? 0 : undefined);
      return writes.length === 0 ? log.head() : log.append(writes, cause);
    });

  const neverStored = async (
    streams: ReadonlyMap<StreamName, ParsedAuditEvent[]>,
    asOf: AsOf,
  ): Promise<Write[]> => {
    const writes: Write[] = [];
    for (const [stream, events] of streams) {
      const facts = audit.decide(audit.initial, { type: 'record-audit', events });
      writes.push({ stream, expected: await log.revision(stream, asOf), facts });
    }
    return writes;
  };

  return {
    appendNew: (events, cause) => {
      const streams = Map.groupBy(events, (event) => streamFor(event, authHostId));
      return locks.hold([...streams.keys()], () => untilStored((asOf) => neverStored(streams, asOf), cause));
    },
    append: (events, cause, numbered) => {
      const streams = Map.groupBy(events, (event) => streamFor(event, authHostId));
      if (numbered === undefined)
        return locks.hold([...streams.keys()], () => untilStored((asOf) => unnumbered(streams, asOf), cause));
      if (numbered.numbers.length !== events.length)
        throw new CodedError('bad_request', 'each event has a number, or none has');
      const stream = senderOf(events, authHostId);
      return locks.hold([stream], () =>
        untilStored((asOf) => numberedOnce(stream, events, numbered, asOf), cause),
      );
    },
  };
}

function senderOf(events: readonly ParsedAuditEvent[], authHostId: string): StreamName {
  const senders = new Set(events.map(({ server_id }) => auditStream({ server_id }, authHostId)));
  const [one, other] = senders;
  if (one === undefined || other !== undefined)
    throw new CodedError('bad_request', 'numbered events are of one sender');
  return one;
}

const plainId = /^[0-9A-Za-z-]{1,64}$/;

function streamFor(event: ParsedAuditEvent, authHostId: string): StreamName {
  if (event.sid && !plainId.test(event.sid))
    throw new CodedError('bad_request', 'sid: not the id of a session');
  return auditStream(event, authHostId);
}
