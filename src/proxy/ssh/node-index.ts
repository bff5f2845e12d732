import type { HostPort } from '../../base/service.ts';
import type { HostInfo } from '../../domain/host-info.ts';
import { canonicalHostPart, isUnspecified, parseHostAddress } from '../../domain/host-text.ts';
import { directAddress, type Reachability } from '../../domain/reachability.ts';
import type { HostsState, Since } from '../../views/hosts.ts';
import { placeOf } from '../../views/sorted-hosts.ts';
import { emptyTable } from '../../views/table.ts';
import { eachChange } from '../../views/table-changes.ts';

export interface KnownNode {
  readonly hostId: string;
  readonly nodename: string;
  readonly reachability: Reachability;
  /** Since when it has had its name; undefined when that is not known. */
  readonly since: Since | undefined;
}

/** The nodes of the cluster by everything that may name them. */
export interface NodeIndex {
  byId(hostId: string): KnownNode | undefined;
  /** By name, then id. */
  byName(nodename: string): readonly KnownNode[];
  /** By the host part of the address where it is reached directly: an IP address, or a name. As `byName`. */
  byAddress(host: string): readonly KnownNode[];
}

/** An index that changes with the nodes: one of them costs the same among a hundred and among a million. */
export class ChangingNodeIndex implements NodeIndex {
  readonly #ids = new Map<string, KnownNode>();
  readonly #names = new Map<string, KnownNode[]>();
  readonly #addresses = new Map<string, KnownNode[]>();

  byId(hostId: string): KnownNode | undefined {
    return this.#ids.get(hostId.toLowerCase());
  }
  byName(nodename: string): readonly KnownNode[] {
    return this.#names.get(nodename.toLowerCase()) ?? [];
  }
  byAddress(host: string): readonly KnownNode[] {
    return this.#addresses.get(canonicalHostPart(host)) ?? [];
  }

  /** In the place of what was known under its id. */
  put({ hostId, nodename, reachability }: HostInfo, since: Since | undefined): void {
    this.remove(hostId);
    const node: KnownNode = { hostId, nodename, reachability, since };
    this.#ids.set(hostId.toLowerCase(), node);
    for (const [map, key] of this.#placesOf(node)) {
      const others = map.get(key);
      if (others === undefined) map.set(key, [node]);
      else others.splice(placeOf(others, node), 0, node);
    }
  }

  remove(hostId: string): void {
    const node = this.#ids.get(hostId.toLowerCase());
    if (node === undefined) return;
    this.#ids.delete(hostId.toLowerCase());
    for (const [map, key] of this.#placesOf(node)) {
      const held = map.get(key) ?? [];
      held.splice(held.indexOf(node), 1);
      if (held.length === 0) map.delete(key);
    }
  }

  #placesOf({ nodename, reachability }: KnownNode): [Map<string, KnownNode[]>, string][] {
    const place = directPlace(reachability);
    const places: [Map<string, KnownNode[]>, string][] = [[this.#names, nodename.toLowerCase()]];
    if (place !== undefined) places.push([this.#addresses, canonicalHostPart(place.host)]);
    return places;
  }
}

/** Returns the index of each state that it is given; that of earlier ones is the same object, and changed. */
export function nodeIndexer(): (hosts: HostsState) => NodeIndex {
  const index = new ChangingNodeIndex();
  let indexed: HostsState['known'] = emptyTable;
  return ({ known }) => {
    eachChange(indexed, known, (hostId, before, after) => {
      const node = after?.roles.Node;
      if (node !== undefined) index.put(node, after?.since.Node);
      else if (before?.roles.Node !== undefined) index.remove(hostId);
      return true;
    });
    indexed = known;
    return index;
  };
}

/**
 * Where a node that is reached directly can be dialled. Undefined for any other, and where its announced
 * address cannot be read: one node that announces nonsense must not affect the others.
 */
export function directPlace(reachability: Reachability): HostPort | undefined {
  const address = parseHostAddress(directAddress(reachability) ?? '');
  return address === undefined || isUnspecified(address.host) ? undefined : address;
}

/**
 * Whether a requested port may mean this node. A node that is reached without dialling has no port to
 * compare.
 */
export const mayBeAtPort = ({ reachability }: KnownNode, port: number): boolean =>
  reachability.status !== 'direct' || directPlace(reachability)?.port === port;
