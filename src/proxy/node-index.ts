import type { HostPort } from '../base/service.ts';
import type { HostInfo } from '../domain/host-info.ts';
import { canonicalHostPart, isUnspecified, parseHostAddress } from '../domain/host-text.ts';
import type { Since } from '../views/hosts.ts';

export interface KnownNode {
  readonly hostId: string;
  readonly nodename: string;
  /** Undefined when what the node announced cannot be read. */
  readonly address: HostPort | undefined;
  /** Since when it has its name; undefined when that is not known. */
  readonly since: Since | undefined;
}

/** The nodes of the cluster by all that may name them. Made once per change of the membership, asked per connection. */
export interface NodeIndex {
  byId(hostId: string): KnownNode | undefined;
  byName(nodename: string): readonly KnownNode[];
  /** By the host part of the announced address: an IP address, or a name. */
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
  for (const { hostId, nodename, address: text } of hosts) {
    const node: KnownNode = { hostId, nodename, address: readAddress(text), since: sinceOf(hostId) };
    ids.set(hostId.toLowerCase(), node);
    put(names, nodename.toLowerCase(), node);
    if (node.address !== undefined) put(addresses, canonicalHostPart(node.address.host), node);
  }
  return {
    byId: (hostId) => ids.get(hostId.toLowerCase()),
    byName: (nodename) => names.get(nodename.toLowerCase()) ?? [],
    byAddress: (host) => addresses.get(canonicalHostPart(host)) ?? [],
  };
}

/** One node that announces nonsense must not take the others with it. */
function readAddress(text: string): HostPort | undefined {
  const address = parseHostAddress(text);
  return address === undefined || isUnspecified(address.host) ? undefined : address;
}
