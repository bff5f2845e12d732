import type { HostInfo } from './host-info.ts';
import { canonicalHostPart, isHostPart, isLoopback, parseHostAddress } from './host-text.ts';
import { directAddress } from './reachability.ts';

/**
 * All names and addresses, in canonical spelling, by which people and programs know a host that announces
 * this.
 */
export function namesHeldBy(host: HostInfo, clusterName: string): ReadonlySet<string> {
  const { nodename, otherNames = [] } = host;
  const places = placesOf(host).flatMap(hostIn);
  return new Set([...certifiedAs(nodename, otherNames, clusterName), ...places.map(canonicalHostPart)]);
}

/**
 * The names in a machine's certificates beside its id: its name, that name in the cluster, and further ones.
 */
export const certifiedAs = (
  nodename: string,
  others: readonly string[],
  clusterName: string,
): readonly string[] => [nodename, `${nodename}.${clusterName}`, ...others].map(canonicalHostPart);

/**
 * The addresses that a host announces as its own to listen on, without those by which only others know it.
 */
export const listensAt = (
  { reachability, publicAddress, sshPublicAddress, otherNames = [] }: HostInfo,
  ip: string,
): boolean => {
  const is = (host: string): boolean => canonicalHostPart(host) === canonicalHostPart(ip);
  return (
    hostIn(directAddress(reachability) ?? '').some(is) &&
    ![...[publicAddress, sshPublicAddress].flatMap(hostIn), ...otherNames].some(is)
  );
};

/**
 * The addresses to which a host sends people, empty where it has none: always the same number, in this order.
 */
export const placesOf = ({ reachability, publicAddress, sshPublicAddress }: HostInfo): readonly string[] => [
  directAddress(reachability) ?? '',
  publicAddress,
  sshPublicAddress,
];

const hostIn = (address: string): readonly string[] => {
  const host = parseHostAddress(address)?.host;
  return host === undefined ? [] : [host];
};

/**
 * What a host announces, together with the other names in its certificate, so that everybody knows whose
 * names those are.
 */
export function withCertifiedNames(said: HostInfo, certified: readonly string[]): HostInfo {
  const places = placesOf(said).flatMap(hostIn);
  const told = new Set([said.nodename, said.hostId, ...places].map(canonicalHostPart));
  const isOther = (name: string): boolean =>
    isHostPart(name) && !isApiName(name) && !isLoopback(name) && !told.has(canonicalHostPart(name));
  const otherNames = [...new Set(certified.filter(isOther))].sort();
  return otherNames.length === 0 ? said : { ...said, otherNames };
}

/**
 * Clients know the auth servers and proxies of any cluster by these names; certificates contain them by role
 * alone.
 */
export const isApiName = (name: string): boolean => /(^|\.)teleport\.cluster\.local\.?$/i.test(name);
