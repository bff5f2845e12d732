import type { Instant } from '../base/time.ts';
import type { HostInfo, SystemRole } from '../domain/host-info.ts';
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
    .flatMap((host) => asReported(host, presence, atMs) ?? [])
    .sort(byName);
}

/**
 * The same in no order and one by one, for whoever only counts them.
 * @param due called for each: what it returns is awaited (`base/turns.ts`).
 */
export async function* eachReportingHost(
  hosts: HostsState,
  presence: PresenceState,
  atMs: number,
  due: () => Promise<void> | undefined,
): AsyncGenerator<HostWithMarks> {
  for (const host of allHosts(hosts, follows)) {
    const rest = due();
    if (rest !== undefined) await rest;
    const reported = asReported(host, presence, atMs);
    if (reported !== undefined) yield reported;
  }
}

function asReported(
  { hostId, role, nodename, reachability, version, understands }: HostInfo,
  presence: PresenceState,
  atMs: number,
): HostWithMarks | undefined {
  const known = presenceOf(presence, { hostId, role }, atMs);
  if (known.status !== 'alive') return undefined;
  const seen = seenOf(presence, { hostId, role });
  if (seen?.leaving === true) return undefined;
  const address = directAddress(reachability) ?? kindOf(reachability);
  const marks = seen?.adopted === undefined ? {} : { user: seen.adopted[0], host: seen.adopted[1] };
  const { lastSeenAt } = known;
  return {
    ...{ hostId, role, nodename, address, version, understands, lastSeenAt },
    ...{ trouble: seen?.trouble, marks },
  };
}
