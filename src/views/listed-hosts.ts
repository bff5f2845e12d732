import type { Subject } from '../domain/access.ts';
import type { HostInfo } from '../domain/host-info.ts';
import { canSeeServer, subjectAccess } from '../domain/subject-access.ts';
import type { Instant } from '../base/time.ts';
import { type HostsState, nameSince } from './hosts.ts';
import { hostsInRole } from './sorted-hosts.ts';
import { hostNow, presenceOf, type PresenceState } from './presence.ts';

/** A host as it is shown in a list. */
export interface ListedHost extends HostInfo {
  readonly lastSeenAt: Instant;
  readonly namedSince: Instant | undefined;
}

export interface Listing {
  readonly role: HostInfo['role'];
  /** Each must be among the host's own. */
  readonly labels: Labels;
  /** Undefined for a machine, which sees all. */
  readonly subject: Subject | undefined;
  /** By the clock of the reader of `presence`. */
  readonly atMs: number;
}

/**
 * Hosts that are alive, by name, then by who had the name first. A person sees the nodes on which one of its
 * logins is allowed.
 */
export function listedHosts(
  { hosts: members, presence }: { readonly hosts: HostsState; readonly presence: PresenceState },
  { role, labels, subject, atMs }: Listing,
): ListedHost[] {
  const access = role === 'Node' && subject ? subjectAccess(subject) : undefined;
  const hosts = hostsInRole(members, role).flatMap((member) => {
    const seen = presenceOf(presence, member, atMs);
    if (seen.status !== 'alive') return [];
    const host = hostNow(presence, member);
    if (!hasLabels(host.labels, labels)) return [];
    if (access && !canSeeServer(access, host.labels)) return [];
    const since = nameSince(members, host.hostId, role);
    const listed = { ...host, lastSeenAt: seen.lastSeenAt, namedSince: since?.at };
    return [{ listed, position: since?.position ?? 0 }];
  });
  return hosts
    .sort((a, b) => compared(a.listed.nodename, b.listed.nodename) || a.position - b.position)
    .map(({ listed }) => listed);
}

const compared = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);

type Labels = Readonly<Record<string, string>>;
/** Every requested label, compared with the host's own: none comes from a prototype. */
const hasLabels = (labels: Labels, wanted: Labels): boolean =>
  Object.entries(wanted).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
