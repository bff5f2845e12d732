import { isIP } from 'node:net';
import { parseHostPort } from '../base/addresses.ts';
import { isCoded } from '../base/errors.ts';
import type { HostPort } from '../base/service.ts';
import type { HostInfo } from '../domain/host-info.ts';

const defaultPort = 3022;

export interface KnownNode {
  readonly hostId: string;
  readonly nodename: string;
  /** Undefined when what the node announced cannot be read. */
  readonly address: HostPort | undefined;
}

/** The nodes of the cluster by all that may name them. Made once per change of the membership, asked per connection. */
export interface NodeIndex {
  byId(hostId: string): KnownNode | undefined;
  byName(nodename: string): readonly KnownNode[];
  /** By the host part of the announced address: an IP address, or a name. */
  byAddress(host: string): readonly KnownNode[];
}

export function indexNodes(hosts: readonly HostInfo[]): NodeIndex {
  const ids = new Map<string, KnownNode>();
  const names = new Map<string, KnownNode[]>();
  const addresses = new Map<string, KnownNode[]>();
  const put = (map: Map<string, KnownNode[]>, key: string, node: KnownNode): void => {
    const known = map.get(key);
    if (known === undefined) map.set(key, [node]);
    else known.push(node);
  };
  for (const { hostId, nodename, address: text } of hosts) {
    const node: KnownNode = { hostId, nodename, address: readAddress(text) };
    ids.set(hostId.toLowerCase(), node);
    put(names, nodename.toLowerCase(), node);
    if (node.address !== undefined) put(addresses, canonicalHost(node.address.host), node);
  }
  return {
    byId: (hostId) => ids.get(hostId.toLowerCase()),
    byName: (nodename) => names.get(nodename.toLowerCase()) ?? [],
    byAddress: (host) => addresses.get(canonicalHost(host)) ?? [],
  };
}

/** One node that announces nonsense must not take the others with it. */
function readAddress(text: string): HostPort | undefined {
  try {
    return parseHostPort(text, defaultPort);
  } catch (e) {
    if (isCoded(e, 'misconfigured')) return undefined;
    throw e;
  }
}

/** Names in lower case, IPv6 in its one short form. */
export const canonicalHost = (host: string): string =>
  isIP(host) === 6 && !host.includes('%')
    ? new URL(`http://[${host}]`).hostname.slice(1, -1)
    : host.toLowerCase();
