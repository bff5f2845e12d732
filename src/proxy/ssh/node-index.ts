import type { HostPort } from '../../base/service.ts';
import type { HostInfo } from '../../domain/host-info.ts';
import { canonicalHostPart, isUnspecified, parseHostAddress } from '../../domain/host-text.ts';
import { directAddress, type Reachability } from '../../domain/reachability.ts';
import type { Since } from '../../views/hosts.ts';

export interface KnownNode {
  readonly hostId: string;
  readonly nodename: string;
  readonly reachability: Reachability;
  /** Since when it has had its name; undefined when that is not known. */
  readonly since: Since | undefined;
}

/**
 * The nodes of the cluster by everything that may name them. Made once per change of the membership, used for
 * each connection.
 */
export interface NodeIndex {
  byId(hostId: string): KnownNode | undefined;
  byName(nodename: string): readonly KnownNode[];
  /** By the host part of the address where it is reached directly: an IP address, or a name. */
  byAddress(host: string): readonly KnownNode[];
}

export function indexNodes(
  hosts: readonly HostInfo[],
  sinceOf: (hostId: string) => Since | undefined = () => undefined,
): NodeIndex {
  const ids = new Map<string, KnownNode>();
  const names = new Map<string, KnownNode[]>();
  const addresses = new Map<string, KnownNode[]>();
  const put = (map: Map<string, KnownNode[]>, key: string, node: KnownNode): void => {
    const known = map.get(key);
    if (known === undefined) map.set(key, [node]);
    else known.push(node);
  };
  for (const { hostId, nodename, reachability } of hosts) {
    const node: KnownNode = { hostId, nodename, reachability, since: sinceOf(hostId) };
    ids.set(hostId.toLowerCase(), node);
    put(names, nodename.toLowerCase(), node);
    const place = directPlace(reachability);
    if (place !== undefined) put(addresses, canonicalHostPart(place.host), node);
  }
  return {
    byId: (hostId) => ids.get(hostId.toLowerCase()),
    byName: (nodename) => names.get(nodename.toLowerCase()) ?? [],
    byAddress: (host) => addresses.get(canonicalHostPart(host)) ?? [],
  };
}

/**
 * Where a node that is reached directly can be dialled. Undefined for any other, and where its announced
 * address cannot be read: one node that announces nonsense must not affect the others.
 */
export function directPlace(reachability: Reachability): HostPort | undefined {
  const address = parseHostAddress(directAddress(reachability) ?? '');
  return address === undefined || isUnspecified(address.host) ? undefined : address;
}

/**
 * Whether a requested port may mean this node. A node that is reached without dialling has no port to
 * compare.
 */
export const mayBeAtPort = ({ reachability }: KnownNode, port: number): boolean =>
  reachability.status !== 'direct' || directPlace(reachability)?.port === port;
