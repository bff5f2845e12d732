import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os';
import { isWildcard } from '../../base/addresses.ts';

type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>;

/**
 * The address a host announces, asked each time: the configured one, else the one it listens on, else (for a
 * wildcard) this machine's first address that is not loopback, else 127.0.0.1. An address that the machine
 * still has is kept; so is one that it lost while it has no other, since renewing a lease removes the address
 * for a moment.
 */
export function advertisedHost(
  configured: string | undefined,
  listenHost: string,
  interfaces: () => Interfaces = networkInterfaces,
): () => string {
  if (configured !== undefined) return () => configured;
  if (!isWildcard(listenHost)) return () => listenHost;
  let told: string | undefined;
  return () => {
    const now = reachableAt(interfaces());
    if (told === undefined || !now.includes(told)) told = now[0] ?? told;
    return told ?? '127.0.0.1';
  };
}

/** Addresses where others can reach this machine, IPv4 first. */
function reachableAt(interfaces: Interfaces): readonly string[] {
  const all = Object.values(interfaces).flatMap((list) => list ?? []);
  const reachable = all.filter((one) => !one.internal && !one.address.startsWith('fe80:'));
  const { IPv4 = [], IPv6 = [] } = Object.groupBy(reachable, ({ family }) => family);
  return [...IPv4, ...IPv6].map(({ address }) => address);
}
