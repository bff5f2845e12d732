import type { Call } from '../../../api/server-deps.ts';
import { type HostDocument, hostKinds } from '../../../domain/resources/hosts.ts';
import type { KindOfResource } from '../../../domain/resources/kind.ts';
import { type HostInfo, hostRecordOf } from '../../../domain/host-info.ts';
import { type Reachability, reachabilityOf } from '../../../domain/reachability.ts';
import { hostStream } from '../../../domain/streams.ts';
import { findHost, hostsView } from '../../../views/hosts.ts';
import { hostsInRole } from '../../../views/sorted-hosts.ts';
import { getIn } from '../../../views/table.ts';
import { kindOfHost } from '../../../domain/rule-subjects.ts';
import type { AuthDeps } from '../../deps.ts';
import { listHosts } from '../../host/list-hosts.ts';
import { removeHost } from '../../host/remove-host.ts';
import { pastKind } from '../past-kind.ts';
import { removal, type ServedKind } from '../served-kind.ts';

type Role = keyof typeof kindOfHost;
type Listed = Awaited<ReturnType<typeof listHosts>>['hosts'][number];

const documentOf = (role: Role, host: Omit<Listed, 'lastSeenAt'> & Partial<Listed>): HostDocument => ({
  kind: kindOfHost[role] as 'node',
  version: 'v2',
  metadata: { name: host.hostId, labels: { ...host.labels } },
  spec: {
    hostname: host.nodename,
    addr: host.address,
    ...tunnelFields(reachabilityOf(host)),
    version: host.version,
    ...(host.lastSeenAt !== undefined && { last_seen: host.lastSeenAt }),
  },
});

const tunnelFields = (reachability: Reachability): Pick<HostDocument['spec'], 'use_tunnel' | 'proxies'> =>
  reachability.status === 'tunnel' ? { use_tunnel: true, proxies: [...reachability.proxies] } : {};

const all = async (deps: AuthDeps, call: Call, role: Role): Promise<HostDocument[]> =>
  (await listHosts(deps, call, { role, labels: {} })).hosts.map((host) => documentOf(role, host));

/** Members of the cluster at that time: whether one was alive is not kept, nor what it measured. */
const pastHosts = (role: Role) => {
  const documentThen = (host: HostInfo): HostDocument =>
    documentOf(role, { ...hostRecordOf(host), namedSince: undefined });
  return pastKind<'hosts'>({
    view: 'hosts',
    projection: hostsView,
    stream: hostStream,
    find: (hosts, name) => {
      const host = findHost(hosts, name, role);
      return host && documentThen(host);
    },
    isUnreadable: ({ unreadable }, name) => getIn(unreadable, name) !== undefined,
    all: (hosts) => hostsInRole(hosts, role).map(documentThen),
  });
};

/** Hosts say what they are; here they are read, and forgotten. */
const servedHosts = (kind: KindOfResource, role: Role): ServedKind => ({
  kind,
  past: pastHosts(role),
  list: (deps, call) => all(deps, call, role),
  remove: removal((deps, call, name) => removeHost(deps, call, { hostId: name })),
});

export const servedHostKinds: readonly ServedKind[] = hostKinds.flatMap((kind) => {
  const role = (Object.keys(kindOfHost) as Role[]).find((one) => kindOfHost[one] === kind.kind);
  return role === undefined ? [] : [servedHosts(kind, role)];
});
