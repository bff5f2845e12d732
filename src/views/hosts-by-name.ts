import { type HostInfo, systemRole } from '../domain/host-info.ts';
import type { HostsState, Membership } from './hosts.ts';
import { emptyTable, type Table } from './table.ts';
import { eachChange } from './table-changes.ts';

/** The hosts in any role that hold a name, in no order; as long as nothing else is asked. */
export type HostsByName = (hosts: HostsState, name: string) => ReadonlySet<HostInfo>;

const nobody: ReadonlySet<HostInfo> = new Set();

/**
 * Finds hosts by what they are called. A question costs a few steps for each host that has changed since the
 * last one, however many there are: ask it of the states of one view.
 * @param namesOf the same for a record each time.
 */
export function hostsByName(namesOf: (host: HostInfo) => Iterable<string>): HostsByName {
  let known: Table<Membership> = emptyTable;
  const byName = new Map<string, Set<HostInfo>>();
  const add = (host: HostInfo): void => {
    for (const name of namesOf(host)) byName.set(name, (byName.get(name) ?? new Set()).add(host));
  };
  const remove = (host: HostInfo): void => {
    for (const name of namesOf(host)) {
      const held = byName.get(name);
      held?.delete(host);
      if (held?.size === 0) byName.delete(name);
    }
  };
  const follow = (before: Membership | undefined, after: Membership | undefined): void => {
    for (const role of systemRole.options) {
      const [was, is] = [before?.roles[role], after?.roles[role]];
      if (was === is) continue;
      if (was !== undefined) remove(was);
      if (is !== undefined) add(is);
    }
  };
  return (hosts, name) => {
    eachChange(known, hosts.known, (_hostId, before, after) => {
      follow(before, after);
      return true;
    });
    ({ known } = hosts);
    return byName.get(name) ?? nobody;
  };
}
