import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os';
import { isWildcard } from '../../base/addresses.ts';

type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>;

/**
 * The address a host tells others, asked whenever it tells it: the configured one, else the one it listens
 * on, else (a wildcard) this machine's first address that is not loopback, else 127.0.0.1. An address that
 * the machine still has is kept, and one that it lost for want of another: a lease that is renewed takes it
 * away for a moment.
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

/** Where others can reach this machine, IPv4 first. */
function reachableAt(interfaces: Interfaces): readonly string[] {
  const all = Object.values(interfaces).flatMap((list) => list ?? []);
  const reachable = all.filter((one) => !one.internal && !one.address.startsWith('fe80:'));
  const { IPv4 = [], IPv6 = [] } = Object.groupBy(reachable, ({ family }) => family);
  return [...IPv4, ...IPv6].map(({ address }) => address);
}
