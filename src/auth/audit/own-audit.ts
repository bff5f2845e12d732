import { isCoded } from '../../base/errors.ts';
import type { World } from '../../base/world.ts';
import type { AuditFact } from '../../domain/audit.ts';
import { completed, type ParsedAuditEvent } from '../../domain/audit-event.ts';
import type { EventBody } from '../../domain/audit-kind.ts';
import { auditStream } from '../../domain/streams.ts';
import { afterConflicts } from '../../log/after-conflicts.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Cause, Position } from '../../log/event.ts';
import type { AuditWriter } from './audit-writer.ts';
import { Together } from './audit-together.ts';

/** Events that auth itself saw and that no fact of `state` contains. */
export interface OwnAudit {
  record(body: EventBody, cause: Cause): Promise<Position>;
  /**
   * For events that must be recorded even when the store is nearly full: while `audit` is refused for lack of
   * space, the event goes to `state`, into the reserved space. An unauthenticated caller must not be able to
   * cause one at will.
   */
  recordFromReserve(body: EventBody, cause: Cause): Promise<'audit' | 'reserve'>;
}

export interface OwnAuditParts {
  readonly writer: Pick<AuditWriter, 'appendNew'>;
  readonly state: Pick<EventLog, 'append' | 'revision'>;
  readonly world: World;
  /** Of this auth server. */
  readonly hostId: string;
}

export function ownAudit({ writer, state, world, hostId }: OwnAuditParts): OwnAudit {
  const complete = (body: EventBody, cause: Cause): ParsedAuditEvent =>
    completed(body, {
      ei: 0,
      uid: world.uuid(),
      time: cause.at,
      server_id: hostId,
      actor: cause.actor,
      request_id: cause.requestId,
    });

  const together = new Together(writer, world, hostId);

  const appendToState = async (event: ParsedAuditEvent, cause: Cause): Promise<void> => {
    const stream = auditStream(event, hostId);
    const fact: AuditFact = { type: 'audit.recorded', data: { event } };
    await afterConflicts(async () => {
      await state.append([{ stream, expected: await state.revision(stream), facts: [fact] }], cause);
    });
  };

  return {
    record: (body, cause) => together.append(complete(body, cause), cause),
    recordFromReserve: async (body, cause) => {
      const event = complete(body, cause);
      try {
        await together.append(event, cause);
        return 'audit';
      } catch (e) {
        if (!isCoded(e, 'no_space')) throw e;
        await appendToState(event, cause);
        return 'reserve';
      }
    },
  };
}
