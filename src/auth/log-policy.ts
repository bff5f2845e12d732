import type { Caller, Who } from '../api/operation.ts';
import type { LogPolicy } from '../api/serve-log.ts';
import { hostFact } from '../domain/host.ts';
import type { Partition, Recorded } from '../log/event.ts';
import { authoritiesView, type AuthoritiesState } from '../views/authorities.ts';
import { clusterView } from '../views/cluster.ts';
import { hostsView } from '../views/hosts.ts';
import { presenceView } from '../views/presence.ts';
import { rolesView } from '../views/roles.ts';
import { type UserEntry, usersView } from '../views/users.ts';

/** What proxies and nodes need to know of a user: that it exists, its roles and traits, whether it is locked. */
const userFacts = new Set([
  'user.created',
  'user.roles_changed',
  'user.traits_changed',
  'user.locked',
  'user.unlocked',
  // Ends a lock.
  'user.password_set',
  'user.deleted',
]);

const followers: Readonly<Record<Partition, readonly Who[]>> = {
  state: ['Admin', 'Auth', 'Proxy', 'Node'],
  presence: ['Admin', 'Auth', 'Proxy'],
  audit: ['Admin', 'Auth'],
};

/**
 * What leaves the auth server by the log. Proxies and nodes decide access by it and get no more than that takes: no
 * invites, no logins, no codes. Operators see all. Nobody sees a sealed secret: `eventLine` has none.
 */
export const logPolicy: LogPolicy = {
  followers: (partition) => followers[partition],
  visible: (caller, partition, event) => {
    if (caller.kind !== 'host') return false;
    if (caller.role === 'Admin' || caller.role === 'Auth') return true;
    if (partition === 'presence') return caller.role === 'Proxy' && event.stream.startsWith('presence-');
    return partition === 'state' && visibleState(caller.role, event);
  },
  snapshotFor: (caller, partition, projection, state) => {
    if (caller.kind !== 'host') return undefined;
    const isProxy = caller.role === 'Proxy';
    if (partition === 'presence') return isProxy && projection === presenceView.name ? state : undefined;
    if (partition !== 'state') return undefined;
    switch (projection) {
      case clusterView.name:
      case rolesView.name:
        return state;
      case authoritiesView.name:
        return withoutSealedKeys(state as AuthoritiesState);
      case usersView.name:
        return (state as [string, UserEntry][]).map(([name, entry]) => [name, bareUser(entry)]);
      case hostsView.name:
        return isProxy ? state : undefined;
      default:
        return undefined;
    }
  },
};

function visibleState(role: Extract<Caller, { kind: 'host' }>['role'], event: Recorded): boolean {
  const category = event.stream.slice(0, event.stream.indexOf('-'));
  switch (category) {
    case 'cluster':
    case 'authority':
    case 'role':
      return true;
    case 'user':
      return userFacts.has(event.fact.type);
    case 'host':
      return event.fact.type !== 'host.admitted' && (role === 'Proxy' || aboutProxy(event));
    default:
      return false;
  }
}

function aboutProxy({ fact }: Recorded): boolean {
  const parsed = hostFact.safeParse(fact);
  if (!parsed.success) return false;
  const { data } = parsed.data;
  return ('host' in data ? data.host.role : data.role) === 'Proxy';
}

const withoutSealedKeys = (state: AuthoritiesState): AuthoritiesState => ({
  user: { ...state.user, sealedIn: {} },
  host: { ...state.host, sealedIn: {} },
});

/** As it would be folded from the facts that are visible. */
const bareUser = (entry: UserEntry): UserEntry => ({
  ...entry,
  state: { ...entry.state, invite: null, passwordId: null, otp: null, failures: [] },
  passwordIn: null,
  otpIn: null,
});
