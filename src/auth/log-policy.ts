import type { Who } from '../api/operation.ts';
import type { LogPolicy } from '../api/served-logs.ts';
import { hostFact } from '../domain/host.ts';
import type { SystemRole } from '../domain/host-info.ts';
import type { Partition, Recorded } from '../log/event.ts';
import { authoritiesView, type AuthoritiesState } from '../views/authorities.ts';
import { clusterView } from '../views/cluster.ts';
import { hostsView, type Membership } from '../views/hosts.ts';
import { presenceSnapshots } from '../views/presence.ts';
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
 * invites, no logins, no codes, no addresses of people. Operators see all. Nobody sees a sealed secret: `eventLine` has none.
 */
export const logPolicy: LogPolicy = {
  followers: (partition) => followers[partition],
  visible: (who, partition, event) => {
    if (who === 'Admin' || who === 'Auth') return true;
    if (who !== 'Proxy' && who !== 'Node') return false;
    if (partition === 'presence') return who === 'Proxy' && event.stream.startsWith('presence-');
    return partition === 'state' && visibleState(who, event);
  },
  snapshotFor: (who, partition, projection, state) => {
    if (who === 'anyone' || who === 'user') return undefined;
    if (partition === 'presence')
      return who === 'Proxy' && isVersionOf(projection, presenceSnapshots.name) ? state : undefined;
    return partition === 'state' ? stateSnapshotFor(who, projection, state) : undefined;
  },
};

/** A proxy of another release asks for the state by the name it knows; in every version it holds who was seen, and when. */
const isVersionOf = (name: string, known: string): boolean => unversioned(name) === unversioned(known);
const unversioned = (name: string): string => name.replace(/\.\d+$/, '');

/** Of other versions it is not known what they hold: who asks for them folds what it may see, of which nothing is trimmed. */
function stateSnapshotFor(who: SystemRole, projection: string, state: unknown): unknown {
  switch (projection) {
    case clusterView.name:
    case rolesView.name:
      return state;
    case authoritiesView.name:
      return withoutSealedKeys(state as AuthoritiesState);
    case usersView.name:
      return (state as [string, UserEntry][]).map(([name, entry]) => [name, bareUser(entry)]);
    case hostsView.name:
      return who === 'Proxy' ? state : onlyProxies(state as HostEntry[]);
    default:
      return undefined;
  }
}

function visibleState(role: 'Proxy' | 'Node', event: Recorded): boolean {
  const category = event.stream.slice(0, event.stream.indexOf('-'));
  switch (category) {
    case 'cluster':
    case 'authority':
    case 'role':
      return true;
    case 'user':
      return userFacts.has(event.fact.type) && !locksOneAddress(event);
    case 'host':
      return event.fact.type !== 'host.admitted' && (role === 'Proxy' || aboutProxy(event));
    default:
      return false;
  }
}

/** That is for whoever decides logins: to others it would only say where people are. */
const locksOneAddress = ({ fact: { type, data } }: Recorded): boolean =>
  type === 'user.locked' && (data as { readonly source?: unknown }).source !== undefined;

type HostEntry = readonly [string, Membership];

const factsOfProxies = new WeakMap<Recorded, boolean>();

/** Asked of each event for each follower: found out once. */
function aboutProxy(event: Recorded): boolean {
  const known = factsOfProxies.get(event) ?? readAboutProxy(event);
  factsOfProxies.set(event, known);
  return known;
}

function readAboutProxy({ fact }: Recorded): boolean {
  const parsed = hostFact.safeParse(fact);
  if (!parsed.success) return false;
  const { data } = parsed.data;
  return ('host' in data ? data.host.role : data.role) === 'Proxy';
}

/** What a node folds of all hosts: those that are proxies, in that role. */
const onlyProxies = (hosts: readonly HostEntry[]): HostEntry[] =>
  hosts.flatMap(([hostId, { roles, since, leftOut }]): HostEntry[] =>
    roles.Proxy
      ? [[hostId, { roles: onlyProxy(roles), since: onlyProxy(since), leftOut: onlyProxy(leftOut) }]]
      : [],
  );

const onlyProxy = <T extends { readonly Proxy?: unknown }>(byRole: T): T =>
  (byRole.Proxy === undefined ? {} : { Proxy: byRole.Proxy }) as T;

const withoutSealedKeys = (state: AuthoritiesState): AuthoritiesState => ({
  user: { ...state.user, sealedIn: {} },
  host: { ...state.host, sealedIn: {} },
});

/** As it would be folded from the facts that are visible. */
const bareUser = (entry: UserEntry): UserEntry => ({
  ...entry,
  state: {
    ...entry.state,
    ...{ invite: null, passwordId: null, otp: null },
    ...{ failures: [], sourceLocks: [], knownSources: [] },
  },
  passwordIn: null,
  otpIn: null,
});
