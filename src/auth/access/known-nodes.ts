import { CodedError } from '../../base/errors.ts';
import type { LockInForce, Person } from '../../domain/access-reason.ts';
import type { HostInfo } from '../../domain/host-info.ts';
import { allHosts, findHost } from '../../views/hosts.ts';
import { hostsInRole } from '../../views/sorted-hosts.ts';
import { locksOn } from '../../views/locks.ts';
import { hostNow } from '../../views/presence.ts';
import type { KnownAccess } from './known-access.ts';

type Known = Pick<KnownAccess, 'hosts' | 'presence'>;

/** Every node of the cluster, alive or not, by name, then id; what is asked of one is asked of `nodeThen`. */
export const nodesByName = ({ hosts }: Pick<Known, 'hosts'>): readonly HostInfo[] =>
  hostsInRole(hosts, 'Node');

/** With the labels that it has then. */
export const nodeThen = ({ presence }: Pick<Known, 'presence'>, node: HostInfo): HostInfo =>
  hostNow(presence, node);

/** Finds nodes by name or id: several where machines have one name, none where there is none. */
export function nodeFinder({ hosts, presence }: Known): (name: string) => readonly HostInfo[] {
  let byName: Map<string, HostInfo[]> | undefined;
  return (asked) => {
    const name = asked.toLowerCase();
    const byId = findHost(hosts, name, 'Node');
    if (byId !== undefined) return [hostNow(presence, byId)];
    byName ??= indexed(allHosts(hosts, ['Node']));
    return (byName.get(name) ?? [])
      .map((host) => hostNow(presence, host))
      .sort((a, b) => (a.hostId < b.hostId ? -1 : 1));
  };
}

/** @throws CodedError `not_found` */
export function nodesNamed(known: Known, name: string): readonly HostInfo[] {
  const found = nodeFinder(known)(name);
  if (found.length === 0)
    throw new CodedError(
      'not_found',
      `node ${JSON.stringify(name)} is not found: "tctl nodes ls" prints names and ids`,
    );
  return found;
}

function indexed(hosts: readonly HostInfo[]): Map<string, HostInfo[]> {
  const byName = new Map<string, HostInfo[]>();
  for (const host of hosts) {
    const name = host.nodename.toLowerCase();
    const known = byName.get(name);
    if (known) known.push(host);
    else byName.set(name, [host]);
  }
  return byName;
}

interface Entering {
  readonly person?: Pick<Person, 'username'> & { readonly roleNames: readonly string[] };
  readonly login?: string;
  readonly node?: Pick<HostInfo, 'hostId' | 'nodename' | 'otherNames'>;
}

/** The locks in force that would keep somebody out of a node: those about what is given of it. */
export const locksOnEntering = (
  { locks, now }: Pick<KnownAccess, 'locks' | 'now'>,
  { person, login, node }: Entering,
): readonly LockInForce[] =>
  locksOn(
    locks,
    {
      ...(person !== undefined && { user: person.username, roles: person.roleNames }),
      ...(login !== undefined && { login }),
      ...(node !== undefined && { node: [node.hostId, node.nodename, ...(node.otherNames ?? [])] }),
    },
    now,
  );
