import { plainAddress } from '../../base/network-of.ts';
import { type Balancers as Networks, balancersOf as networksOf } from '../client-address.ts';

/**
 * Addresses that mean no machine, several, or the link of the dialler: clouds also serve secrets to machines
 * there.
 */
const never: readonly (readonly [string, Networks])[] = [
  ['an unspecified address', networksOf(['0.0.0.0/8', '::'])],
  ['a multicast or broadcast address', networksOf(['224.0.0.0/4', '255.255.255.255', 'ff00::/8'])],
  ['a link-local address', networksOf(['169.254.0.0/16', 'fe80::/10'])],
  ['the address of a metadata service', networksOf(['fd00:ec2::254', '100.100.100.200'])],
];
const loopback = networksOf(['127.0.0.0/8', '::1']);

/** What is known besides the address. */
export interface Surroundings {
  /** Networks that the operator listed: always dialled. */
  readonly allowed: Networks;
  /** Whether the node runs on this machine, as the proxy does. Asked about loopback only. */
  readonly isHere: () => Promise<boolean>;
}

/**
 * Why a proxy does not dial an address that a node announces for itself; undefined when it does. A node is
 * believed about its address, except where only this machine can reach: otherwise any node could make the
 * proxy connect to services there.
 * @param ip an IP address.
 */
export async function doubtAboutAddress(
  ip: string,
  { allowed, isHere }: Surroundings,
): Promise<string | undefined> {
  const plain = plainAddress(ip);
  if (allowed.includes(plain)) return undefined;
  const what = never.find(([, networks]) => networks.includes(plain))?.[0];
  if (what !== undefined) return what;
  return !loopback.includes(plain) || (await isHere())
    ? undefined
    : 'a loopback address at which no process of root or of this account listens here';
}
