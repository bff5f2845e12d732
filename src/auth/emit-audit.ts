import type { z } from 'zod';
import type { emitAudit as operation } from '../api/operations.ts';
import { actorOf } from '../api/guard.ts';
import type { Call } from '../api/server-deps.ts';
import { CodedError } from '../base/errors.ts';
import { type AuthDeps, causeOf } from './deps.ts';

type Input = z.output<typeof operation.input>;
type Output = z.input<typeof operation.output>;

/**
 * Stores what a proxy or node saw. Each event says by whom it was told, whatever it claims itself.
 * @throws CodedError `bad_request` for an event in the name of another server: sending it again would not help.
 */
export async function emitAudit(deps: AuthDeps, call: Call, { events }: Input): Promise<Output> {
  const { caller } = call;
  if (caller.kind !== 'host') throw new CodedError('access_denied', 'only hosts tell what they saw');
  const told = events.map((event) => {
    if (event.server_id !== undefined && event.server_id !== caller.hostId)
      throw new CodedError('bad_request', `event ${event.uid}: server_id is not the caller's own`);
    return { actor: actorOf(caller), request_id: call.requestId, ...event, server_id: caller.hostId };
  });
  call.deadline.begin();
  return { position: await deps.audit.append(told, causeOf(deps, call)) };
}
