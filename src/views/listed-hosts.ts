import { CodedError } from '../base/errors.ts';
import type { Subject } from '../domain/access.ts';
import type { HostInfo } from '../domain/host-info.ts';
import { canSeeServer, subjectAccess } from '../domain/subject-access.ts';
import type { Instant } from '../base/time.ts';
import { type HostsState, nameSince } from './hosts.ts';
import { compared, hostsInRole, placeOf } from './sorted-hosts.ts';
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

/** A page of a list. */
export interface Page {
  /** The `next` of the page before; undefined: from the beginning. */
  readonly after?: string | undefined;
  /** Default: all. */
  readonly limit?: number | undefined;
}

export interface ListedHosts {
  readonly hosts: readonly ListedHost[];
  /** Where the next page begins; undefined: there is none. */
  readonly next: string | undefined;
}

/** Where a host is in the list: it stays there as long as it keeps its name. */
interface Place {
  readonly nodename: string;
  readonly position: number;
  readonly hostId: string;
}

/**
 * Hosts that are alive, by name, then by who had the name first. A person sees the nodes on which one of its
 * logins is allowed.
 * @param due called for each host: what it returns is awaited (`base/turns.ts`).
 * @throws CodedError `bad_request` for an `after` that no page had.
 */
export async function listedHosts(
  { hosts: members, presence }: { readonly hosts: HostsState; readonly presence: PresenceState },
  { role, labels, subject, atMs }: Listing,
  { after, limit = Number.POSITIVE_INFINITY }: Page,
  due: () => Promise<void> | undefined,
): Promise<ListedHosts> {
  const access = role === 'Node' && subject ? subjectAccess(subject) : undefined;
  const all = hostsInRole(members, role);
  const from = after === undefined ? undefined : placeIn(after);
  const hosts: ListedHost[] = [];
  let last: Place = { nodename: '', position: 0, hostId: '' };
  const shown = (member: HostInfo): ListedHost | undefined => {
    const seen = presenceOf(presence, member, atMs);
    if (seen.status !== 'alive') return undefined;
    const host = hostNow(presence, member);
    if (!hasLabels(host.labels, labels)) return undefined;
    if (access && !canSeeServer(access, host.labels)) return undefined;
    const since = nameSince(members, host.hostId, role);
    return { ...host, lastSeenAt: seen.lastSeenAt, namedSince: since?.at };
  };
  const start = from === undefined ? 0 : placeOf(all, { nodename: from.nodename, hostId: '' });
  for (const [place, member] of byPrecedence(all, start, members, role)) {
    if (from !== undefined && comparedPlaces(place, from) <= 0) continue;
    const rest = due();
    if (rest !== undefined) await rest;
    const host = shown(member);
    if (host === undefined) continue;
    if (hosts.length >= limit) return { hosts, next: textOf(last) };
    hosts.push(host);
    last = place;
  }
  return { hosts, next: undefined };
}

type Labels = Readonly<Record<string, string>>;
/** Every requested label, compared with the host's own: none comes from a prototype. */
const hasLabels = (labels: Labels, wanted: Labels): boolean =>
  Object.entries(wanted).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);

/** From that index on: hosts of one name by who had it first. */
function* byPrecedence(
  all: readonly HostInfo[],
  start: number,
  members: HostsState,
  role: HostInfo['role'],
): Generator<readonly [Place, HostInfo]> {
  for (let at = start; at < all.length;) {
    const group: [Place, HostInfo][] = [];
    const nodename = all[at]?.nodename ?? '';
    for (let host = all[at]; host?.nodename === nodename; host = all[++at]) {
      const position = nameSince(members, host.hostId, role)?.position ?? 0;
      group.push([{ nodename, position, hostId: host.hostId }, host]);
    }
    yield* group.length > 1 ? group.sort(([a], [b]) => comparedPlaces(a, b)) : group;
  }
}

const comparedPlaces = (a: Place, b: Place): number =>
  compared(a.nodename, b.nodename) || a.position - b.position || compared(a.hostId, b.hostId);

const textOf = ({ position, hostId, nodename }: Place): string => `${position} ${hostId} ${nodename}`;

function placeIn(text: string): Place {
  const [, position = '', hostId = '', nodename = ''] = /^(\d{1,16}) (\S{1,64}) (.*)$/s.exec(text) ?? [];
  if (hostId === '') throw new CodedError('bad_request', 'after: no page of this list ended there');
  return { position: Number(position), hostId, nodename };
}
