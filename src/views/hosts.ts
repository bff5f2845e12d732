import { host, hostFact, type HostState } from '../domain/host.ts';
import type { HostInfo, SystemRole } from '../domain/host-info.ts';
import { idInStream } from '../domain/streams.ts';
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

/** As others may see it: without keys. */
type Membership = Pick<HostState, 'roles'>;
export type HostsState = Table<Membership>;

const types = typesOf(hostFact);

/** Every machine that belongs to the cluster, by host id; whether it is alive now is `presence`. */
export const hostsView: Projection<HostsState> = {
  name: 'hosts.1',
  initial: emptyTable,
  apply(hosts, event) {
    const hostId = idInStream(event.stream, 'host');
    if (hostId === undefined) return hosts;
    const fact = readFact(hostFact, types, event);
    if (!fact || fact.type === 'host.admitted') return hosts;
    const { roles } = host.evolve({ ...host.initial, ...getIn(hosts, hostId) }, fact);
    return Object.keys(roles).length === 0 ? removeIn(hosts, hostId) : setIn(hosts, hostId, { roles });
  },
  encode: entriesOf,
  decode: (stored) => tableFrom(stored as [string, Membership][]),
};

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
