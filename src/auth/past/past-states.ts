import { type HostsState, hostsView } from '../../views/hosts.ts';
import { type LocksState, locksView } from '../../views/locks.ts';
import { type RolesState, rolesView } from '../../views/roles.ts';
import { type TokensState, tokensView } from '../../views/tokens.ts';
import { type UsersState, usersView } from '../../views/users.ts';
import type { Recorded } from '../../log/event.ts';
import type { Projection } from '../../views/view.ts';

/** What can be asked of an earlier time: who there was, and what decided about them. */
export interface PastStates {
  readonly roles: RolesState;
  readonly users: UsersState;
  readonly hosts: HostsState;
  readonly locks: LocksState;
  readonly tokens: TokensState;
}

export const pastProjections: { readonly [V in keyof PastStates]: Projection<PastStates[V]> } = {
  roles: rolesView,
  users: usersView,
  hosts: hostsView,
  locks: locksView,
  tokens: tokensView,
};

/** Whose states are kept for good with the log (`ClusterLog.takeSnapshot`). */
export const pastViewNames: readonly string[] = Object.values(pastProjections).map(({ name }) => name);

/** Before the first event. */
export const noPast: PastStates = {
  roles: rolesView.initial,
  users: usersView.initial,
  hosts: hostsView.initial,
  locks: locksView.initial,
  tokens: tokensView.initial,
};

/** @param takes left out: each takes the event; else only those do for which it holds. */
export const pastAfter = (
  before: PastStates,
  event: Recorded,
  takes: (view: keyof PastStates) => boolean = always,
): PastStates => ({
  roles: takes('roles') ? rolesView.apply(before.roles, event) : before.roles,
  users: takes('users') ? usersView.apply(before.users, event) : before.users,
  hosts: takes('hosts') ? hostsView.apply(before.hosts, event) : before.hosts,
  locks: takes('locks') ? locksView.apply(before.locks, event) : before.locks,
  tokens: takes('tokens') ? tokensView.apply(before.tokens, event) : before.tokens,
});

const always = (): boolean => true;
