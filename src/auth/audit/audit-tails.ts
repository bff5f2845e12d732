import { isCoded } from '../../base/errors.ts';
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

/**
 * The first revision behind `after` after which the stream can be read; at the latest `last`. What is before
 * was deleted when its time was over: whether it was stored does not matter any more, since what comes again
 * of it is then there once.
 */
async function readableAfter(
  log: Pick<EventLog, 'read'>,
  stream: StreamName,
  after: Revision,
  last: Revision,
): Promise<Revision> {
  let [low, high] = [after + 1, last];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await isReadable(log, stream, middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

async function isReadable(
  log: Pick<EventLog, 'read'>,
  stream: StreamName,
  after: Revision,
): Promise<boolean> {
  const events = log.read(stream, after, 0)[Symbol.asyncIterator]();
  try {
    await events.next();
    return true;
  } catch (e) {
    if (isCoded(e, 'cursor_too_old')) return false;
    throw e;
  } finally {
    await events.return?.();
  }
}

/**
 * @param mayDelete whether parts of the log may be gone that nobody needs any more. Otherwise what cannot be
 *   read is somewhere else, and nothing is decided without it.
 */
export function auditTails(log: EventLog, mayDelete: boolean): AuditTails {
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
    const from = (after: Revision): AuditTail => ({ revision: after, state: audit.initial, uids });
    const first = Math.max(0, revision - back);
    const tail = await goOn(stream, from(first), asOf).catch(async (e: unknown) => {
      if (!mayDelete || !isCoded(e, 'cursor_too_old')) throw e;
      return goOn(stream, from(await readableAfter(log, stream, first, revision)), asOf);
    });
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
