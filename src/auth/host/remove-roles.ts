import type { Call } from '../../api/server-deps.ts';
import type { Position } from '../../log/event.ts';
import { host } from '../../domain/host.ts';
import type { SystemRole } from '../../domain/host-info.ts';
import { hostStream } from '../../domain/streams.ts';
import { step, transact } from '../../log/execute.ts';
import { type AuthDeps, causeOf, type termsOf } from '../deps.ts';

export interface Removal {
  readonly hostId: string;
  readonly roles: readonly SystemRole[];
  readonly reason: string;
}

/**
 * A machine is no longer a member in these roles, and is not alive in them. Resolves when that is seen here;
 * undefined when it had none of them.
 */
export async function removeRoles(
  deps: Pick<AuthDeps, 'log' | 'presence' | 'views' | 'world'>,
  call: Call,
  { hostId, roles, reason }: Removal,
  terms: ReturnType<typeof termsOf> = { deadline: call.deadline },
): Promise<Position | undefined> {
  const { position } = await transact(
    deps.log.state,
    [step(host, hostStream(hostId), { type: 'remove-host', roles, reason })],
    causeOf(deps, call),
    terms,
  );
  for (const role of roles) deps.presence.renew({ hostId, role }, 0);
  const gone = await deps.presence.soon();
  if (position !== undefined) await deps.views.reached(position);
  if (gone !== undefined) await deps.views.presence.reached(gone);
  return position;
}
