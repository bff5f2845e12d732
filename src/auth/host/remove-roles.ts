import type { Call } from '../../api/server-deps.ts';
import type { EventLog } from '../../log/event-log.ts';
import type { Cause, Position } from '../../log/event.ts';
import { host } from '../../domain/host.ts';
import type { SystemRole } from '../../domain/host-info.ts';
import { hostStream } from '../../domain/streams.ts';
import { step, type Terms, transact } from '../../log/execute.ts';
import { type AuthDeps, causeOf } from '../deps.ts';

export interface Removal {
  readonly hostId: string;
  readonly roles: readonly SystemRole[];
  readonly reason: string;
}

/** Returns undefined when it had none of these roles. */
export async function recordRemoval(
  state: EventLog,
  { hostId, roles, reason }: Removal,
  cause: Cause,
  terms?: Terms,
): Promise<Position | undefined> {
  const removal = step(host, hostStream(hostId), { type: 'remove-host', roles, reason });
  return (await transact(state, [removal], cause, terms)).position;
}

/**
 * A machine is no longer a member in these roles, and is not alive in them. Resolves when that is seen here;
 * undefined when it had none of them.
 */
export async function removeRoles(
  deps: Pick<AuthDeps, 'log' | 'presence' | 'views' | 'world'>,
  call: Call,
  removal: Removal,
  terms: Terms = { deadline: call.deadline },
): Promise<Position | undefined> {
  const position = await recordRemoval(deps.log.state, removal, causeOf(deps, call), terms);
  for (const role of removal.roles) deps.presence.renew({ hostId: removal.hostId, role }, 0);
  const gone = await deps.presence.soon();
  if (position !== undefined) await deps.views.reached(position);
  if (gone !== undefined) await deps.views.presence.reached(gone);
  return position;
}
