import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os';
import { isWildcard } from '../base/addresses.ts';

/**
 * The address a host tells others: the configured one, else the one it listens on, else (a wildcard) this machine's
 * first address that is not loopback, else 127.0.0.1.
 */
export function advertisedHost(
  configured: string | undefined,
  listenHost: string,
  interfaces: NodeJS.Dict<NetworkInterfaceInfo[]> = networkInterfaces(),
): string {
  if (configured !== undefined) return configured;
  if (!isWildcard(listenHost)) return listenHost;
  const all = Object.values(interfaces).flatMap((list) => list ?? []);
  const reachable = all.filter((i) => !i.internal && !i.address.startsWith('fe80:'));
  return (reachable.find((i) => i.family === 'IPv4') ?? reachable[0])?.address ?? '127.0.0.1';
}
