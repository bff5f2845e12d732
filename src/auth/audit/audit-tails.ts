import { audit, auditFact, type AuditState } from '../../domain/audit.ts';
import { held } from '../../domain/recent.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Position, Revision, StreamName } from '../../log/event.ts';

/** What the end of an audit stream shows about the stored events. */
export interface AuditTail {
  readonly revision: Revision;
  readonly state: AuditState;
  /** Whether all `uid`s that `domain/audit.ts` needs were read. */
  readonly uids: boolean;
}

export interface AuditTails {
  /** As of the newest commit, or `asOf`. For `numbers` the last event is read, once. */
  read(stream: StreamName, what: 'numbers' | 'uids', asOf?: Position): Promise<AuditTail>;
}

/** As many events without a number as `domain/audit.ts` remembers; older ones are never read. */
const remembered = 2_048;
/** How many streams are kept in memory, the most recently used ones. */
const maxStreams = 4_096;
const maxUids = 65_536;

export function auditTails(log: EventLog): AuditTails {
  const known = new Map<StreamName, AuditTail>();
  let uids = 0;

  const forget = (stream: StreamName): void => {
    uids -= held(known.get(stream)?.state.unnumbered);
    known.delete(stream);
  };

  const keep = (stream: StreamName, tail: AuditTail): void => {
    forget(stream);
    known.set(stream, tail);
    uids += held(tail.state.unnumbered);
    for (const oldest of known.keys()) {
      if ((known.size <= maxStreams && uids <= maxUids) || oldest === stream) break;
      forget(oldest);
    }
  };

  const goOn = async (
    stream: StreamName,
    from: AuditTail,
    asOf: Position | undefined,
  ): Promise<AuditTail> => {
    let { revision, state } = from;
    for await (const event of log.read(stream, revision, asOf)) {
      revision = event.revision;
      state = audit.evolve(state, auditFact.parse(event.fact));
    }
    return { ...from, revision, state };
  };

  const begin = async (
    stream: StreamName,
    what: 'numbers' | 'uids',
    asOf: Position | undefined,
  ): Promise<AuditTail> => {
    const revision = await log.revision(stream, asOf);
    const back = what === 'numbers' ? 1 : remembered;
    const uids = what === 'uids' || revision === 0;
    const start = { revision: Math.max(0, revision - back), state: audit.initial, uids };
    const tail = await goOn(stream, start, asOf);
    // Stored by an auth server of the previous release, or for such a sender: the stored numbers are further
    // back.
    const told = uids || held(tail.state.unnumbered) === 0;
    return told ? tail : begin(stream, 'uids', asOf);
  };

  return {
    read: async (stream, what, asOf) => {
      const before = known.get(stream);
      const tail =
        before && (before.uids || what === 'numbers')
          ? await goOn(stream, before, asOf)
          : await begin(stream, what, asOf);
      keep(stream, tail);
      return tail;
    },
  };
}
