import type { HostInfo, SystemRole } from '../domain/host-info.ts';
import { allHosts, type HostsState, type Membership } from './hosts.ts';
import type { Table } from './table.ts';
import { eachChange } from './table-changes.ts';

interface Sorted {
  readonly known: Table<Membership>;
  readonly list: readonly HostInfo[];
}

/**
 * Lists are asked page by page, and for each client. The last few are kept by role: the next state differs by
 * a few hosts from one of them. Several, since a process may have several folds, each with states of its own.
 */
const mostKept = 4;
const kept = new Map<SystemRole, Sorted[]>();
/** With more changes than this, sorting again is cheaper than inserting each. */
const mostInserted = 64;

/** All hosts in a role, sorted by name, then id. */
export function hostsInRole(hosts: HostsState, role: SystemRole): readonly HostInfo[] {
  const { known } = hosts;
  const lists = kept.get(role) ?? [];
  kept.set(role, lists);
  const same = lists.find((one) => one.known === known);
  const list = same?.list ?? sortedFrom(lists, hosts, role);
  const rest = lists.filter((one) => one !== same).slice(0, mostKept - 1);
  lists.splice(0, lists.length, { known, list }, ...rest);
  return list;
}

/** From the newest list from which few changes lead there; else all are sorted. */
function sortedFrom(lists: Sorted[], hosts: HostsState, role: SystemRole): readonly HostInfo[] {
  for (const [at, before] of lists.entries()) {
    const changes = changesSince(before.known, hosts.known, role);
    if (changes === undefined) continue;
    lists.splice(at, 1);
    return changes.length === 0 ? before.list : changed(before.list, changes);
  }
  return allHosts(hosts, [role]).toSorted(byName);
}

interface Change {
  readonly before: HostInfo | undefined;
  readonly after: HostInfo | undefined;
}

/** Undefined: too many. */
function changesSince(
  before: Table<Membership>,
  after: Table<Membership>,
  role: SystemRole,
): readonly Change[] | undefined {
  // Whole tables are not compared for nothing.
  if (Math.abs(before.size - after.size) > mostInserted) return undefined;
  const changes: Change[] = [];
  let compared = 0;
  eachChange(before, after, (_hostId, one, other) => {
    const [was, is] = [one?.roles[role], other?.roles[role]];
    if (was !== is) changes.push({ before: was, after: is });
    return ++compared <= mostInserted;
  });
  return compared > mostInserted ? undefined : changes;
}

function changed(list: readonly HostInfo[], changes: readonly Change[]): readonly HostInfo[] {
  const result = [...list];
  for (const { before, after } of changes) {
    if (before !== undefined) result.splice(placeOf(result, before), 1);
    if (after !== undefined) result.splice(placeOf(result, after), 0, after);
  }
  return result;
}

/** Where a host is in a sorted list, or would be: the first that does not come before it. */
export function placeOf(list: readonly Named[], host: Named): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const one = list[middle];
    if (one !== undefined && byName(one, host) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

export type Named = Pick<HostInfo, 'nodename' | 'hostId'>;
/** Sorts by name, then id. */
export const byName = (a: Named, b: Named): number =>
  compared(a.nodename, b.nodename) || compared(a.hostId, b.hostId);

/** Texts by their UTF-16 units, as `sort` has them. */
export const compared = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);
