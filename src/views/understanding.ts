import { type HostInfo, systemRole } from '../domain/host-info.ts';
import { allHosts, type HostsState } from './hosts.ts';
import { presenceOf, type PresenceState } from './presence.ts';

/** What the oldest live release in the cluster can read of facts. */
export interface Understanding {
  readonly level: number;
  /** Hosts that read no more than that, in no order. */
  readonly hosts: readonly HostInfo[];
}

/**
 * The lowest `factsLevel` among the hosts that are alive, and whose it is; undefined when none is alive. A
 * fact that all must read is not written before this is as high as the release that introduced it. Hosts that
 * announce none read level 0.
 */
export function oldestUnderstanding(
  hosts: HostsState,
  presence: PresenceState,
  atMs: number,
): Understanding | undefined {
  const alive = allHosts(hosts, systemRole.options).filter(
    (host) => presenceOf(presence, host, atMs).status === 'alive',
  );
  if (alive.length === 0) return undefined;
  const level = alive.reduce((least, host) => Math.min(least, levelOf(host)), Number.MAX_SAFE_INTEGER);
  return { level, hosts: alive.filter((host) => levelOf(host) === level) };
}

const levelOf = ({ understands = 0 }: HostInfo): number => understands;
