import { CodedError } from '../../base/errors.ts';
import type { HostPort } from '../../base/service.ts';
import { canonicalHostPart, isIpAddress } from '../../domain/host-text.ts';
import { type KnownNode, mayBeAtPort, type NodeIndex } from './node-index.ts';

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Port 0: unspecified. */
export interface Wanted {
  readonly host: string;
  readonly port: number;
}

/** What is known besides the membership. */
export interface Circumstances {
  /** The addresses from DNS; empty when it was not asked or does not know the name. */
  readonly dns: readonly string[];
  readonly isAlive: (node: KnownNode) => boolean;
}

/** `node1.example` is `node1` of the cluster `example`: the name that stock clients are told to use. */
export const withoutCluster = (host: string, clusterName: string): string =>
  host.toLowerCase().endsWith(`.${clusterName.toLowerCase()}`)
    ? host.slice(0, -clusterName.length - 1)
    : host;

/**
 * Which node a name means: a UUID; else a node with that name; else a node with that address; else a node
 * that DNS names. The first kind that matches counts alone: nobody takes a name from a node by announcing it
 * as an address. Among several, those that are alive count, so that a machine that was set up again under its
 * old name is found. How it is reached is another matter: `dial-node.ts`.
 * @throws CodedError `not_found`; `bad_request` `err-node-is-ambiguous` naming all when several nodes match.
 */
export function resolveNode(
  nodes: NodeIndex,
  { host, port }: Wanted,
  { dns, isAlive }: Circumstances,
): KnownNode {
  if (uuidForm.test(host)) {
    const node = nodes.byId(host);
    if (node === undefined)
      throw new CodedError('not_found', `unable to locate node matching uuid-like target ${host}`);
    return node;
  }
  const named = meantBy(nodes, host, dns);
  const fitting = named.filter((node) => port === 0 || mayBeAtPort(node, port));
  const alive = fitting.filter(isAlive);
  const meant = alive.length > 0 ? alive : fitting;
  const [first] = meant;
  if (first === undefined) throw notFound(host, port, named.length > 0);
  if (meant.length > 1) throw ambiguous(host, meant);
  return first;
}

function meantBy(nodes: NodeIndex, host: string, dns: readonly string[]): readonly KnownNode[] {
  const byName = nodes.byName(host);
  if (byName.length > 0) return byName;
  const byAddress = nodes.byAddress(host);
  if (byAddress.length > 0) return byAddress;
  return [...new Set(dns.flatMap((one) => nodes.byAddress(one)))];
}

const mostNamed = 5;

/** `tsh` recognises it by its first word. The node that had the name first comes first. */
function ambiguous(host: string, nodes: readonly KnownNode[]): CodedError {
  const order = ({ since }: KnownNode): number => since?.position ?? Number.MAX_SAFE_INTEGER;
  const all = nodes.toSorted((a, b) => order(a) - order(b)).map(described);
  const more = all.length > mostNamed ? `; and ${all.length - mostNamed} more` : '';
  return new CodedError(
    'bad_request',
    `err-node-is-ambiguous: ${all.length} nodes answer to ${host}: ${all.slice(0, mostNamed).join('; ')}${more}. ` +
      'Give the id of the one that you mean',
  );
}

/** Without its address: the caller may not be allowed to see it. */
const described = ({ hostId, since }: KnownNode): string =>
  since === undefined ? hostId : `${hostId} (so called since ${since.at})`;

const notFound = (host: string, port: number, isNamed: boolean): CodedError =>
  new CodedError(
    'not_found',
    isNamed
      ? `node ${host} does not listen on port ${port}: leave the port out, or take that of "tsh ls"`
      : `no node of this cluster is called ${host} ("tsh ls" shows them)`,
  );

/** True when a name could only mean something by DNS: no node has it, and it is not an address. */
export const needsDns = (nodes: NodeIndex, host: string): boolean =>
  !isIpAddress(host) &&
  !uuidForm.test(host) &&
  nodes.byName(host).length === 0 &&
  nodes.byAddress(host).length === 0;

/**
 * The entry of `allowed` that a name means, which is not a node: the same host, and the same port when one
 * was given. Undefined when none matches, or without a port several.
 */
export function allowedOutside(allowed: readonly HostPort[], { host, port }: Wanted): HostPort | undefined {
  const fitting = allowed.filter(
    (entry) =>
      canonicalHostPart(entry.host) === canonicalHostPart(host) && (port === 0 || entry.port === port),
  );
  return fitting.length === 1 ? fitting[0] : undefined;
}
