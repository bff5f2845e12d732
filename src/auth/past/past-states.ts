import { type HostsState, hostsView } from '../../views/hosts.ts';
import { type LocksState, locksView } from '../../views/locks.ts';
import { type RolesState, rolesView } from '../../views/roles.ts';
import { type UsersState, usersView } from '../../views/users.ts';
import type { Projection } from '../../views/view.ts';

/** What can be asked of an earlier time: who there was, and what decided about them. */
export interface PastStates {
  readonly roles: RolesState;
  readonly users: UsersState;
  readonly hosts: HostsState;
  readonly locks: LocksState;
}

export const pastProjections: { readonly [V in keyof PastStates]: Projection<PastStates[V]> } = {
  roles: rolesView,
  users: usersView,
  hosts: hostsView,
  locks: locksView,
};
