import { kindOf, type ReachabilityRecord, reachabilityOf } from '../domain/reachability.ts';

/** The text under "Address": where a host is reached, or in which other way; a tunnel as 4.4 shows it. */
export function addressColumn(host: ReachabilityRecord): string {
  const reachability = reachabilityOf(host);
  if (reachability.status === 'direct') return reachability.address;
  return reachability.status === 'tunnel' ? '⟵ Tunnel' : `(${kindOf(reachability)})`;
}
