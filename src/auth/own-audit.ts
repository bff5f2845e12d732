import type { World } from '../base/world.ts';
import type { Cause, Position } from '../log/event.ts';
import type { AuditWriter } from './audit-writer.ts';

/** What auth itself saw and no fact of `state` tells. */
export interface OwnAudit {
  record(
    event: { readonly event: string; readonly code: string; readonly [field: string]: unknown },
    cause: Cause,
  ): Promise<Position>;
}

export const ownAudit = (writer: AuditWriter, world: World, hostId: string): OwnAudit => ({
  record: (event, cause) =>
    writer.append(
      [
        {
          ei: 0,
          ...event,
          uid: world.uuid(),
          time: cause.at,
          server_id: hostId,
          actor: cause.actor,
          request_id: cause.requestId,
        },
      ],
      cause,
    ),
});
