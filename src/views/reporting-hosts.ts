import type { Instant } from '../base/time.ts';
import type { SystemRole } from '../domain/host-info.ts';
import { directAddress, kindOf } from '../domain/reachability.ts';
import type { RotationMark } from '../domain/rotation-mark.ts';
import { allHosts, type HostsState } from './hosts.ts';
import { byName } from './sorted-hosts.ts';
import { presenceOf, type PresenceState, seenOf } from './presence.ts';
import type { ReaderClock } from './reader-clock.ts';

/** A host that is alive, and how far it reports that it follows the rotations of the authorities. */
export interface HostWithMarks {
  readonly hostId: string;
  readonly role: SystemRole;
  readonly nodename: string;
  /** `host:port`, or one word for how else it is reached. */
  readonly address: string;
  readonly version: string;
  /** How much of the facts its release reads (`factsLevel`); undefined where it does not report it. */
  readonly understands: number | undefined;
  readonly lastSeenAt: Instant;
  /** Why it cannot renew its certificates, in its own words; undefined where it can. */
  readonly trouble: string | undefined;
  /** By authority; empty where it reports none: before the first rotation, and in older releases. */
  readonly marks: { readonly user?: RotationMark; readonly host?: RotationMark };
}

const follows: readonly SystemRole[] = ['Auth', 'Proxy', 'Node'];

/**
 * Every host that is alive in one of the roles that follow a rotation, each role by itself; by name. A
 * stopped host does not count from the moment it reported that.
 */
export function reportingHosts(
  hosts: HostsState,
  presence: PresenceState,
  clock: ReaderClock,
): readonly HostWithMarks[] {
  const atMs = clock.monotonic();
  return allHosts(hosts, follows)
    .flatMap(({ hostId, role, nodename, reachability, version, understands }) => {
      const known = presenceOf(presence, { hostId, role }, atMs);
      if (known.status !== 'alive') return [];
      const address = directAddress(reachability) ?? kindOf(reachability);
      const { lastSeenAt } = known;
      const seen = seenOf(presence, { hostId, role });
      if (seen?.leaving === true) return [];
      const adopted = seen?.adopted;
      const marks = adopted === undefined ? {} : { user: adopted[0], host: adopted[1] };
      return [
        { hostId, role, nodename, address, version, understands, lastSeenAt, trouble: seen?.trouble, marks },
      ];
    })
    .sort(byName);
}
