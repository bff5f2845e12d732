import type { Instant } from '../base/time.ts';
import { mayRequest } from '../domain/may-request.ts';
import type { RoleSpec } from '../domain/role-spec.ts';
import { findRequest, type RequestEntry, type RequestsState } from './requests.ts';
import { lookUpRoles, type RolesState } from './roles.ts';
import { findUser, type UsersState } from './users.ts';
import type { View } from './view.ts';

/** What decides whether a request counts. */
export interface HoldingStates {
  readonly requests: RequestsState;
  readonly users: UsersState;
  readonly roles: RolesState;
}

type HoldingViews = { readonly [Name in keyof HoldingStates]: Pick<View<HoldingStates[Name]>, 'state'> };

/** By the views of a service. */
export const holdingStatesOf = ({ requests, users, roles }: HoldingViews): HoldingStates => ({
  requests: requests.state(),
  users: users.state(),
  roles: roles.state(),
});

/** The holder of a certificate that names requests, as the certificate has it. */
export interface PresentedRequests {
  readonly username: string;
  readonly lifeId: string;
  readonly accessRequests: readonly string[];
}

/** An approved request that counts now, with its roles looked up. */
export interface HeldRequest {
  readonly entry: RequestEntry;
  readonly roles: readonly RoleSpec[];
}

/**
 * The approved requests of a certificate that count: the certificate only names them, and everything else is
 * read here. A request counts for the user that it was approved for, while all its roles are there and the
 * roles that the user has now still let them be requested. One that does not count takes nothing from what
 * the user has without it.
 * @param now Left out: also those whose time is over; for whoever is connected already.
 */
export function heldRequests(
  { requests, users, roles }: HoldingStates,
  { username, lifeId, accessRequests }: PresentedRequests,
  now?: Instant,
): readonly HeldRequest[] {
  if (accessRequests.length === 0 || requests.known.size === 0) return [];
  const user = findUser(users, username);
  if (user?.life.id !== lifeId) return [];
  const own = lookUpRoles(roles, user.state.roles);
  if (own.status === 'missing') return [];
  const requester = { roles: own.roles, traits: user.state.traits };
  return accessRequests.flatMap((id) => {
    const entry = findRequest(requests, id);
    if (entry?.status !== 'approved' || entry.user !== username || entry.lifeId !== lifeId) return [];
    if (now !== undefined && now >= entry.expiresAt) return [];
    const granted = lookUpRoles(roles, entry.roles);
    if (granted.status === 'missing') return [];
    return entry.roles.every((role) => mayRequest(requester, role)) ? [{ entry, roles: granted.roles }] : [];
  });
}

/** Roles of the requests besides these, each once. */
export function addedRoles(held: readonly HeldRequest[], own: readonly RoleSpec[]): readonly RoleSpec[] {
  const names = new Set(own.map(({ name }) => name));
  return held
    .flatMap(({ roles }) => roles)
    .filter(({ name }) => {
      if (names.has(name)) return false;
      names.add(name);
      return true;
    });
}

/**
 * Names of the roles for which a lock concerns the holder of a certificate: those in it, those of the
 * requests that it names, whether these count or not, and those that the user has now.
 */
export const lockableRoles = (
  { requests, users }: Pick<HoldingStates, 'requests' | 'users'>,
  {
    username,
    roles,
    accessRequests,
  }: Omit<PresentedRequests, 'lifeId'> & { readonly roles: readonly string[] },
): readonly string[] => [
  ...roles,
  ...accessRequests.flatMap((id) => findRequest(requests, id)?.roles ?? []),
  ...(findUser(users, username)?.state.roles ?? []),
];
