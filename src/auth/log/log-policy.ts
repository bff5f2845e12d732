import type { Who } from '../../api/operation.ts';
import type { LogPolicy } from '../../api/served-logs.ts';
import type { SystemRole } from '../../domain/host-info.ts';
import type { Partition, Recorded } from '../../log/event.ts';
import { authoritiesView, type AuthoritiesState } from '../../views/authorities.ts';
import { clusterView } from '../../views/cluster.ts';
import { configurationView } from '../../views/configuration.ts';
import type { StoredEntities, Withheld } from '../../views/entities.ts';
import { hostsView, type Membership, roleIn } from '../../views/hosts.ts';
import { locksView } from '../../views/locks.ts';
import { presenceSnapshots } from '../../views/presence.ts';
import { recordingView } from '../../views/recording.ts';
import { type RequestEntry, requestsView } from '../../views/requests.ts';
import { remoteClustersView } from '../../views/remote-clusters.ts';
import { rolesView } from '../../views/roles.ts';
import { trustedClustersView } from '../../views/trusted-clusters.ts';
import { type UserEntry, usersView } from '../../views/users.ts';
import { userFact } from '../../domain/user-fact.ts';
import { typesOf } from '../../views/read-fact.ts';

/**
 * What proxies and nodes need to know about a user: that it exists, its roles and traits, whether it is
 * locked.
 */
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

const usersTypes = typesOf(userFact);

const followers: Readonly<Record<Partition, readonly Who[]>> = {
  state: ['Admin', 'Auth', 'Proxy', 'Node'],
  attempts: ['Admin', 'Auth'],
  presence: ['Admin', 'Auth', 'Proxy'],
  audit: ['Admin', 'Auth'],
};

/**
 * What others see of the log. Proxies and nodes decide access by it, and get only what they need for that: no
 * invites, no logins, no codes, no addresses of people. Operators see everything. Nobody sees a sealed
 * secret: `eventLine` contains none.
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
    if (who === 'anyone' || who === 'user' || who === 'operator' || who === 'foreign') return undefined;
    if (partition === 'presence')
      return who === 'Proxy' && isVersionOf(projection, presenceSnapshots.name) ? state : undefined;
    return partition === 'state' ? stateSnapshotFor(who, projection, state) : undefined;
  },
};

/**
 * A proxy of another release asks for the snapshot by the name it knows; in every version it contains who was
 * seen, and when.
 */
const isVersionOf = (name: string, known: string): boolean => unversioned(name) === unversioned(known);
const unversioned = (name: string): string => name.replace(/\.\d+$/, '');

/**
 * It is unknown what other versions contain: a reader that asks for them folds the events it may see instead,
 * none of which are trimmed.
 */
function stateSnapshotFor(who: SystemRole, projection: string, state: unknown): unknown {
  if (forAll.has(projection)) return state;
  switch (projection) {
    case authoritiesView.name:
      return withoutSealedKeys(state as AuthoritiesState);
    case requestsView.name:
      return seenOf(
        state as StoredEntities<RequestEntry>,
        ({ type }) => type !== 'request.created',
        bareRequest,
      );
    case usersView.name:
      return seenOf(state as StoredEntities<UserEntry>, ({ type }) => isSharedUserFact(type), bareUser);
    case hostsView.name:
      return who === 'Proxy'
        ? state
        : seenOf(state as StoredEntities<Membership>, ({ about = 'Proxy' }) => about === 'Proxy', onlyProxy);
    default:
      return who === 'Proxy' && forProxies.has(projection) ? state : undefined;
  }
}

const forAll: ReadonlySet<string> = new Set(
  [clusterView, configurationView, recordingView, rolesView, locksView, trustedClustersView].map(
    ({ name }) => name,
  ),
);
const forProxies: ReadonlySet<string> = new Set([remoteClustersView.name]);

/** Clusters that trust this one: no secret, but only proxies need them. */
const categoriesForProxies: ReadonlySet<string> = new Set(['remote']);
/**
 * Also of other clusters: public keys, addresses, and which roles their people get; and for which public key
 * sessions are recorded.
 */
const sharedCategories: ReadonlySet<string> = new Set([
  'cluster',
  'configuration',
  'authority',
  'role',
  'lock',
  'trusted',
  'recording',
]);

function visibleState(role: 'Proxy' | 'Node', event: Recorded): boolean {
  const category = event.stream.slice(0, event.stream.indexOf('-'));
  if (sharedCategories.has(category)) return true;
  switch (category) {
    case 'request':
      return isSharedRequestFact(event);
    case 'user':
      return userFacts.has(event.fact.type)
        ? !locksOneAddress(event)
        : isSharedUserFact(event.fact.type) && isCritical(event);
    case 'host':
      return event.fact.type !== 'host.admitted' && (role === 'Proxy' || aboutProxy(event));
    default:
      return role === 'Proxy' && categoriesForProxies.has(category);
  }
}

/**
 * What was approved, and each end. Who asks for what, and what was denied, concerns nobody who decides
 * access.
 */
const isSharedRequestFact = ({ fact: { type, data } }: Recorded): boolean =>
  type !== 'request.created' && (data as { readonly state?: unknown }).state !== 'denied';

/** The result of folding only the visible facts. */
const bareRequest = (entry: RequestEntry): RequestEntry | undefined =>
  entry.status === 'approved' ? { ...entry, request: null } : undefined;

/** Only those who decide logins need that: others would only learn where people are. */
const locksOneAddress = ({ fact: { type, data } }: Recorded): boolean =>
  type === 'user.locked' && (data as { readonly source?: unknown }).source !== undefined;

/**
 * For a type that this release does not know: readers must get what they must heed. (So such a fact never
 * contains anything that only auth servers may know.)
 */
const isCritical = ({ fact: { data } }: Recorded): boolean => Object.hasOwn(data, 'critical');
const isSharedUserFact = (type: string): boolean => userFacts.has(type) || !usersTypes.has(type);

/** Whether a node may see it. A fact that names no role is about the whole host. */
const aboutProxy = (event: Recorded): boolean =>
  (roleIn(event.fact.data) ?? (isCritical(event) ? 'Proxy' : '')) === 'Proxy';

type Unread = Withheld<unknown>['facts'][number];

/** The visible part: the result of folding only the visible facts. */
function seenOf<V>(
  { known, unreadable }: StoredEntities<V>,
  sees: (unread: Unread) => boolean,
  shown: (value: V) => V | undefined,
): StoredEntities<V> {
  const stillUnreadable = unreadable.map(
    ([key, { last, facts }]) => [key, { last, facts: facts.filter(sees) }] as const,
  );
  const readable = stillUnreadable.flatMap(([key, { last, facts }]) =>
    facts.length === 0 && last !== null ? [[key, last] as const] : [],
  );
  return {
    known: [...known, ...readable].flatMap(([key, value]) => {
      const seen = shown(value);
      return seen === undefined ? [] : [[key, seen] as const];
    }),
    unreadable: stillUnreadable.flatMap(([key, { last, facts }]) =>
      facts.length === 0
        ? []
        : [[key, { last: last === null ? null : (shown(last) ?? null), facts }] as const],
    ),
  };
}

/** What a node folds about a host: whether it is a proxy, and that role of it alone. */
const onlyProxy = ({ roles, since, leftOut }: Membership): Membership | undefined =>
  roles.Proxy && { roles: proxyOf(roles), since: proxyOf(since), leftOut: proxyOf(leftOut) };

const proxyOf = <T extends { readonly Proxy?: unknown }>(byRole: T): T =>
  (byRole.Proxy === undefined ? {} : { Proxy: byRole.Proxy }) as T;

const withoutSealedKeys = (state: AuthoritiesState): AuthoritiesState => ({
  user: { ...state.user, sealedIn: {} },
  host: { ...state.host, sealedIn: {} },
});

/** The result of folding only the visible facts. */
const bareUser = (entry: UserEntry): UserEntry => ({
  ...entry,
  state: {
    ...entry.state,
    ...{ invite: null, passwordId: null, otp: null },
    ...{ failures: [], sourceLocks: [], knownSources: [] },
  },
  passwordIn: null,
  otpIn: null,
  lastLoginAt: null,
});
