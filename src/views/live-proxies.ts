import { second, type Instant } from '../base/time.ts';
import type { HostInfo } from '../domain/host-info.ts';
import { type HostsState } from './hosts.ts';
import { hostsInRole } from './sorted-hosts.ts';
import { type PresenceState, type Seen, seenOf } from './presence.ts';

/** A host reports every minute. One that was killed counts as alive for much longer. */
const silentMs = 150 * second;

interface LiveProxy {
  readonly host: HostInfo;
  readonly seen: Seen;
}

/** The proxies of the cluster that are alive and stay, as last heard of. */
export function liveProxies(hosts: HostsState, presence: PresenceState): readonly LiveProxy[] {
  const { newestHeardMs: atMs } = presence;
  return hostsInRole(hosts, 'Proxy').flatMap((host) => {
    const seen = seenOf(presence, host);
    const isLive =
      seen !== undefined && seen.leaving !== true && atMs - seen.heardMs < Math.min(silentMs, seen.ttlMs);
    return isLive ? [{ host, seen }] : [];
  });
}

/** What the proxies of this cluster reported of one that trusts it. */
export interface LeafStanding {
  readonly status: 'online' | 'offline';
  /** Host ids of the proxies on which it hangs. */
  readonly at: readonly string[];
  /** When a proxy last reported that it hangs there; undefined when none has in the last day. */
  readonly lastHeardAt: Instant | undefined;
}

const never: LeafStanding = { status: 'offline', at: [], lastHeardAt: undefined };

/** Of each cluster that hangs on a proxy, or did; any other is offline. */
export function leafStandings(
  hosts: HostsState,
  presence: PresenceState,
): (clusterName: string) => LeafStanding {
  const found = new Map<string, LeafStanding>();
  const put = (name: string, change: (before: LeafStanding) => LeafStanding): void => {
    found.set(name, change(found.get(name) ?? never));
  };
  for (const { host, seen } of liveProxies(hosts, presence))
    for (const name of seen.leaves ?? [])
      put(name, (before) => ({ ...before, status: 'online', at: [...before.at, host.hostId] }));
  for (const host of hostsInRole(hosts, 'Proxy')) {
    const { leaves = [], leavesBefore = {}, lastSeenAt = '' } = seenOf(presence, host) ?? {};
    for (const [name, at] of [
      ...Object.entries(leavesBefore),
      ...leaves.map((one) => [one, lastSeenAt] as const),
    ])
      put(name, (before) => ({ ...before, lastHeardAt: later(before.lastHeardAt, at) }));
  }
  return (clusterName) => found.get(clusterName) ?? never;
}

const later = (a: Instant | undefined, b: Instant): Instant => (a === undefined || b > a ? b : a);
