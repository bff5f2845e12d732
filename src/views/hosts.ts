import type { Instant } from '../base/time.ts';
import { host, type HostFact, hostFact, type HostState } from '../domain/host.ts';
import {
  type HostField,
  type HostInfo,
  readableHost,
  type SystemRole,
  systemRole,
} from '../domain/host-info.ts';
import { idInStream } from '../domain/streams.ts';
import type { Position, Recorded } from '../log/event.ts';
import { readFact, typesOf } from './read-fact.ts';
import {
  emptyTable,
  entriesOf,
  getIn,
  reduceValues,
  removeIn,
  setIn,
  type Table,
  tableFrom,
} from './table.ts';
import type { Projection } from './view.ts';

/** Since when a host has its name. Whose position is lower had it first; the time is for people. */
export interface Since {
  readonly position: Position;
  readonly at: Instant;
}

/** As others may see it: without keys, and each text in its form (`readableHost`). */
export interface Membership extends Pick<HostState, 'roles'> {
  readonly since: Readonly<Partial<Record<SystemRole, Since>>>;
  /** Fields that a release before this one stored, and that do not have their form. */
  readonly leftOut: Readonly<Partial<Record<SystemRole, readonly HostField[]>>>;
}
export type HostsState = Table<Membership>;

const types = typesOf(hostFact);

/** Every machine that belongs to the cluster, by host id; whether it is alive now is `presence`. */
export const hostsView: Projection<HostsState> = {
  name: 'hosts.2',
  initial: emptyTable,
  apply(hosts, event) {
    const hostId = idInStream(event.stream, 'host');
    if (hostId === undefined) return hosts;
    const fact = readFact(hostFact, types, event);
    if (!fact || fact.type === 'host.admitted') return hosts;
    const known = getIn(hosts, hostId) ?? { roles: {}, since: {}, leftOut: {} };
    const membership = membershipAfter(known, fact, event);
    return Object.keys(membership.roles).length === 0
      ? removeIn(hosts, hostId)
      : setIn(hosts, hostId, membership);
  },
  encode: entriesOf,
  decode: (stored) => tableFrom(stored as [string, Membership][]),
};

function membershipAfter(
  known: Membership,
  fact: Exclude<HostFact, { type: 'host.admitted' }>,
  { position, cause }: Recorded,
): Membership {
  const { roles } = host.evolve({ ...host.initial, ...known }, fact);
  if (fact.type === 'host.left') {
    const { role } = fact.data;
    return { roles, since: without(known.since, role), leftOut: without(known.leftOut, role) };
  }
  const { host: said, leftOut } = readableHost(fact.data.host);
  const { role, nodename } = said;
  const before = known.roles[role]?.nodename === nodename ? known.since[role] : undefined;
  return {
    roles: { ...roles, [role]: said },
    since: { ...known.since, [role]: before ?? { position, at: cause.at } },
    leftOut: leftOut.length === 0 ? without(known.leftOut, role) : { ...known.leftOut, [role]: leftOut },
  };
}

const without = <T extends object>(record: T, role: SystemRole): T =>
  role in record ? (Object.fromEntries(Object.entries(record).filter(([key]) => key !== role)) as T) : record;

/** All hosts in these roles, in no order. */
export const allHosts = (hosts: HostsState, wanted: readonly SystemRole[]): readonly HostInfo[] =>
  reduceValues<Membership, HostInfo[]>(hosts, [], (found, { roles }) => {
    for (const role of wanted) if (roles[role]) found.push(roles[role]);
    return found;
  });

/** All hosts in a role, sorted by name, then id. */
export const hostsInRole = (hosts: HostsState, role: SystemRole): readonly HostInfo[] =>
  reduceValues<Membership, HostInfo[]>(hosts, [], (found, { roles }) => {
    if (roles[role]) found.push(roles[role]);
    return found;
  }).sort((a, b) => compared(a.nodename, b.nodename) || compared(a.hostId, b.hostId));

const compared = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);

/** What the host says of itself in that role, or undefined when it is no member. */
export const findHost = (hosts: HostsState, hostId: string, role: SystemRole): HostInfo | undefined =>
  getIn(hosts, hostId)?.roles[role];

/** In which roles the host is a member; none for one that is not known. */
export const rolesOfHost = (hosts: HostsState, hostId: string): readonly SystemRole[] =>
  systemRole.options.filter((role) => getIn(hosts, hostId)?.roles[role] !== undefined);

/** Since when the host has its name in that role, or undefined when it is no member. */
export const nameSince = (hosts: HostsState, hostId: string, role: SystemRole): Since | undefined =>
  getIn(hosts, hostId)?.since[role];

export interface OddHost {
  readonly hostId: string;
  readonly role: string;
  readonly leftOut: readonly HostField[];
}

/** Hosts of which a release before this one stored what cannot be shown. */
export const oddHosts = (hosts: HostsState): readonly OddHost[] =>
  entriesOf(hosts).flatMap(([hostId, membership]) =>
    Object.entries(membership.leftOut).map(([role, leftOut]) => ({ hostId, role, leftOut })),
  );
