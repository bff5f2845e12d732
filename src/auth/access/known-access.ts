import type { Call } from '../../api/server-deps.ts';
import type { Instant } from '../../base/time.ts';
import { nobodySeen, type PresenceState } from '../../views/presence.ts';
import type { AuthDeps } from '../deps.ts';
import type { PastStates } from '../past/past-states.ts';
import { positionAt } from '../past/position-at.ts';

export type AccessStates = Pick<PastStates, 'users' | 'roles' | 'hosts' | 'locks'>;

/** What decides who may enter what, as it is or as it was. */
export interface KnownAccess extends AccessStates {
  /** Measured labels are in it; of an earlier time those are not kept, and it is empty. */
  readonly presence: PresenceState;
  /** By which locks have an end. */
  readonly now: Instant;
}

/** Of views that are fresh. */
export const accessNow = ({ views, world }: Pick<AuthDeps, 'views' | 'world'>): KnownAccess => ({
  users: views.users.state(),
  roles: views.roles.state(),
  hosts: views.hosts.state(),
  locks: views.locks.state(),
  presence: views.presence.state(),
  now: world.now(),
});

export const accessIn = ({ users, roles, hosts, locks }: AccessStates, now: Instant): KnownAccess => ({
  users,
  roles,
  hosts,
  locks,
  presence: nobodySeen,
  now,
});

/**
 * As it was after the last event at or before a time; without one, as it is.
 * @throws CodedError `bad_request` for a time that has not come yet; as `PastFolds.at`.
 */
export async function accessAt(
  deps: Pick<AuthDeps, 'log' | 'past' | 'views' | 'world'>,
  { deadline }: Pick<Call, 'deadline'>,
  at: Instant | undefined,
): Promise<KnownAccess> {
  if (at !== undefined) return accessIn(await deps.past.at(await positionAt(deps, at), deadline), at);
  await deps.views.fresh();
  return accessNow(deps);
}
