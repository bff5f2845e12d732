import { CodedError, isCoded } from '../base/errors.ts';
import { audit, auditFact, type AuditState } from '../domain/audit.ts';
import type { AuditEvent } from '../domain/audit-event.ts';
import { auditStream } from '../domain/streams.ts';
import type { EventLog, Write } from '../log/event-log.ts';
import type { Cause, Position, Revision, StreamName } from '../log/event.ts';
import { KeyedLock } from '../log/keyed-lock.ts';

/** Appends audit events, each once however often it is sent. */
export interface AuditWriter {
  /**
   * All of them or none. Events that their stream has already are left out.
   * Answers the position of the last one, or of the newest event when nothing was new.
   */
  append(events: readonly AuditEvent[], cause: Cause): Promise<Position>;
}

/** What `domain/audit.ts` remembers of a stream; what lies before is never read. */
const remembered = 2048;
const maxStreams = 512;
const maxAttempts = 12;

interface Known {
  readonly revision: Revision;
  readonly state: AuditState;
}

/**
 * What was appended is known from the stream itself, so it holds over restarts and between auth servers. Unlike
 * `execute`, only the end of a stream is read: that of a proxy may have millions of events.
 */
export function auditWriter(log: EventLog, authHostId: string): AuditWriter {
  const known = new Map<StreamName, Known>();
  const locks = new KeyedLock();

  const refresh = async (stream: StreamName, asOf: Position | undefined): Promise<Known> => {
    let { revision, state } = known.get(stream) ?? {
      revision: Math.max(0, (await log.revision(stream, asOf)) - remembered),
      state: audit.initial,
    };
    for await (const event of log.read(stream, revision, asOf)) {
      revision = event.revision;
      state = audit.evolve(state, auditFact.parse(event.fact));
    }
    known.delete(stream);
    known.set(stream, { revision, state });
    if (known.size > maxStreams)
      for (const oldest of known.keys()) {
        known.delete(oldest);
        break;
      }
    return { revision, state };
  };

  const appendNew = async (
    streams: ReadonlyMap<StreamName, AuditEvent[]>,
    cause: Cause,
    asOf: Position | undefined,
  ): Promise<Position> => {
    const writes: Write[] = [];
    for (const [stream, events] of streams) {
      const { revision, state } = await refresh(stream, asOf);
      const facts = audit.decide(state, { type: 'record-audit', events });
      if (facts.length > 0) writes.push({ stream, expected: revision, facts });
    }
    return writes.length === 0 ? log.head() : log.append(writes, cause);
  };

  return {
    append: (events, cause) => {
      const streams = Map.groupBy(events, (event) => streamFor(event, authHostId));
      return locks.hold([...streams.keys()], async () => {
        for (let attempt = 1; ; attempt++) {
          try {
            // What is known here is enough: where another process went on, the append conflicts, and only
            // then it looks.
            return await appendNew(streams, cause, attempt === 1 ? 0 : undefined);
          } catch (e) {
            if (!isCoded(e, 'conflict') || attempt === maxAttempts) throw e;
          }
        }
      });
    },
  };
}

const plainId = /^[0-9A-Za-z-]{1,64}$/;

function streamFor(event: AuditEvent, authHostId: string): StreamName {
  if (event.sid && !plainId.test(event.sid))
    throw new CodedError('bad_request', 'sid: not the id of a session');
  return auditStream(event, authHostId);
}
