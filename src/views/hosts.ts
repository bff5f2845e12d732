import type { Instant } from '../base/time.ts';
import { type HostFact, hostFact } from '../domain/host.ts';
import {
  type HostField,
  type HostInfo,
  hostInfoOf,
  type HostRecord,
  hostRecordOf,
  readableHost,
  type SystemRole,
  systemRole,
} from '../domain/host-info.ts';
import { idInStream } from '../domain/streams.ts';
import type { Position, Recorded } from '../log/event.ts';
import {
  allKnown,
  type Entities,
  entitiesFrom,
  foldEntity,
  mapStored,
  type Folding,
  noEntities,
  storedEntities,
  type StoredEntities,
} from './entities.ts';
import { readFact, typesOf, type UnreadableFact } from './read-fact.ts';
import { entriesOf, getIn, reduceValues } from './table.ts';
import type { Projection } from './view.ts';

/** Since when a host has had its name. The lower position had it first; the time is for people. */
export interface Since {
  readonly position: Position;
  readonly at: Instant;
}

/** As others may see it: without keys, and each text in its form (`readableHost`). */
export interface Membership {
  readonly roles: Readonly<Partial<Record<SystemRole, HostInfo>>>;
  readonly since: Readonly<Partial<Record<SystemRole, Since>>>;
  /** Fields that an earlier release stored and that do not have their form. */
  readonly leftOut: Readonly<Partial<Record<SystemRole, readonly HostField[]>>>;
}
export type HostsState = Entities<Membership>;

const types = typesOf(hostFact);

/** Every machine that belongs to the cluster, by host id; whether it is alive now is in `presence`. */
export const hostsView: Projection<HostsState> = {
  name: 'hosts.3',
  initial: noEntities,
  apply(hosts, event) {
    const hostId = idInStream(event.stream, 'host');
    if (hostId === undefined) return hosts;
    const role = roleIn(event.fact.data);
    const known = systemRole.safeParse(role).data;
    const reading = readFact(hostFact, types, event);
    if (reading.status === 'unreadable') {
      // A kind of machine that this release does not have.
      const isForeign = role !== undefined && known === undefined;
      if (isForeign && reading.unread.critical.length === 0) return hosts;
      const unread = { ...reading.unread, ...(role === undefined ? {} : { about: role }) };
      return foldEntity(hosts, hostId, { ...reading, unread }, folding(event, known));
    }
    if (reading.status === 'read' && (known === undefined || reading.fact.type === 'host.admitted'))
      return hosts;
    return foldEntity(hosts, hostId, reading, folding(event, known));
  },
  encode: (hosts) => mapStored(storedEntities(hosts), storedMembership),
  decode: (stored) => entitiesFrom(mapStored(stored as StoredEntities<StoredMembership>, membershipFrom)),
  earlier: [{ name: 'hosts.2', upcast: allKnown }],
};

/** The role that a fact is about, whether the rest of it can be read or not. */
export function roleIn(data: object): string | undefined {
  const { host, role } = data as { readonly host?: { readonly role?: unknown }; readonly role?: unknown };
  const said = role ?? host?.role;
  return typeof said === 'string' ? said : undefined;
}

/** Each fact contains all data of a host in that role, or its end. */
const folding = (event: Recorded, role: SystemRole | undefined): Folding<Membership, HostFact> => ({
  evolve: (before, fact) => {
    if (role === undefined || fact.type === 'host.admitted') return before;
    const after = membershipAfter(before ?? nowhere, role, fact, event);
    return Object.keys(after.roles).length === 0 ? undefined : after;
  },
  settles: (_fact, { about, critical }: UnreadableFact) => critical.length === 0 && about === role,
});

const nowhere: Membership = { roles: {}, since: {}, leftOut: {} };

/** In the form of a snapshot: for hosts that are reached directly, the same in every release of this name. */
interface StoredMembership extends Omit<Membership, 'roles'> {
  readonly roles: Readonly<Partial<Record<SystemRole, HostRecord>>>;
}

const storedMembership = (one: Membership): StoredMembership => ({
  ...one,
  roles: eachRole(one.roles, hostRecordOf),
});
const membershipFrom = (one: StoredMembership): Membership => ({
  ...one,
  roles: eachRole(one.roles, hostInfoOf),
});

function eachRole<From, To>(
  roles: Readonly<Partial<Record<SystemRole, From>>>,
  make: (one: From) => To,
): Partial<Record<SystemRole, To>> {
  const made: Partial<Record<SystemRole, To>> = {};
  for (const role of systemRole.options) if (roles[role] !== undefined) made[role] = make(roles[role]);
  return made;
}

function membershipAfter(
  known: Membership,
  role: SystemRole,
  fact: Exclude<HostFact, { type: 'host.admitted' }>,
  { position, cause }: Recorded,
): Membership {
  if (fact.type === 'host.left')
    return {
      roles: without(known.roles, role),
      since: without(known.since, role),
      leftOut: without(known.leftOut, role),
    };
  const { host: said, leftOut } = readableHost(hostInfoOf({ ...fact.data.host, role }));
  const { nodename } = said;
  const before = known.roles[role]?.nodename === nodename ? known.since[role] : undefined;
  return {
    roles: { ...known.roles, [role]: said },
    since: { ...known.since, [role]: before ?? { position, at: cause.at } },
    leftOut: leftOut.length === 0 ? without(known.leftOut, role) : { ...known.leftOut, [role]: leftOut },
  };
}

const without = <T extends object>(record: T, role: SystemRole): T =>
  role in record ? (Object.fromEntries(Object.entries(record).filter(([key]) => key !== role)) as T) : record;

/** All hosts in these roles, in no order. */
export const allHosts = ({ known }: HostsState, wanted: readonly SystemRole[]): readonly HostInfo[] =>
  reduceValues<Membership, HostInfo[]>(known, [], (found, { roles }) => {
    for (const role of wanted) if (roles[role]) found.push(roles[role]);
    return found;
  });

/** What the host announced in that role, or undefined when it is not a member. */
export const findHost = ({ known }: HostsState, hostId: string, role: SystemRole): HostInfo | undefined =>
  getIn(known, hostId)?.roles[role];

/** In which roles the host is a member; none for an unknown host. */
export const rolesOfHost = ({ known }: HostsState, hostId: string): readonly SystemRole[] =>
  systemRole.options.filter((role) => getIn(known, hostId)?.roles[role] !== undefined);

/** Since when the host has had its name in that role, or undefined when it is not a member. */
export const nameSince = ({ known }: HostsState, hostId: string, role: SystemRole): Since | undefined =>
  getIn(known, hostId)?.since[role];

export interface OddHost {
  readonly hostId: string;
  readonly role: string;
  readonly leftOut: readonly HostField[];
}

/** Hosts for which an earlier release stored data that cannot be shown. */
export const oddHosts = ({ known }: HostsState): readonly OddHost[] =>
  entriesOf(known).flatMap(([hostId, membership]) =>
    Object.entries(membership.leftOut).map(([role, leftOut]) => ({ hostId, role, leftOut })),
  );
