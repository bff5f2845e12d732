import { isIP } from 'node:net';
import { CodedError } from '../base/errors.ts';
import type { HostPort } from '../base/service.ts';
import { canonicalHost, type KnownNode, type NodeIndex } from './node-index.ts';

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Port 0: not said. */
export interface Wanted {
  readonly host: string;
  readonly port: number;
}

export interface ResolvedNode extends KnownNode {
  readonly address: HostPort;
}

/** What is known beside the membership. */
export interface Circumstances {
  /** What DNS answered for the name; empty when it was not asked or knows nothing. */
  readonly dns: readonly string[];
  readonly isAlive: (node: KnownNode) => boolean;
}

/** `node1.example` is `node1` of the cluster `example`: what stock clients are told to call it. */
export const withoutCluster = (host: string, clusterName: string): string =>
  host.toLowerCase().endsWith(`.${clusterName.toLowerCase()}`)
    ? host.slice(0, -clusterName.length - 1)
    : host;

/**
 * Which node a name means: a UUID, a host name, the node's own address, or a name that DNS says is it. Of several that fit,
 * those that are alive count: a machine that was made anew under its old name is found.
 * @throws CodedError `not_found`; `bad_request` `err-node-is-ambiguous` when several nodes fit; `unavailable` for a node
 * whose address cannot be read.
 */
export function resolveNode(
  nodes: NodeIndex,
  { host, port }: Wanted,
  { dns, isAlive }: Circumstances,
): ResolvedNode {
  if (uuidForm.test(host)) {
    const node = nodes.byId(host);
    if (node === undefined)
      throw new CodedError('not_found', `unable to locate node matching uuid-like target ${host}`);
    return withAddress(node);
  }
  const named = new Set([host, ...dns].flatMap((one) => nodes.byAddress(one)));
  for (const node of nodes.byName(host)) named.add(node);
  const fitting = [...named].filter((node) => port === 0 || node.address?.port === port);
  const alive = fitting.filter(isAlive);
  const [first, second] = alive.length > 0 ? alive : fitting;
  if (first === undefined) throw notFound(host, port, named.size > 0);
  if (second !== undefined) throw new CodedError('bad_request', 'err-node-is-ambiguous');
  return withAddress(first);
}

const notFound = (host: string, port: number, isNamed: boolean): CodedError =>
  new CodedError(
    'not_found',
    isNamed
      ? `node ${host} does not listen on port ${port}: leave the port out, or take that of "tsh ls"`
      : `no node of this cluster is called ${host} ("tsh ls" shows them)`,
  );

function withAddress(node: KnownNode): ResolvedNode {
  const { address } = node;
  if (address === undefined)
    throw new CodedError('unavailable', `node ${node.nodename} announces an address that cannot be read`);
  return { ...node, address };
}

/** True when a name could only mean something by DNS: no node is called so, and it is no address. */
export const needsDns = (nodes: NodeIndex, host: string): boolean =>
  isIP(host) === 0 &&
  !uuidForm.test(host) &&
  nodes.byName(host).length === 0 &&
  nodes.byAddress(host).length === 0;

/**
 * The entry of `allowed` that a name means which is no node: same host, and same port when one was said.
 * Undefined when none does, or without a port several.
 */
export function allowedOutside(allowed: readonly HostPort[], { host, port }: Wanted): HostPort | undefined {
  const fitting = allowed.filter(
    (entry) => canonicalHost(entry.host) === canonicalHost(host) && (port === 0 || entry.port === port),
  );
  return fitting.length === 1 ? fitting[0] : undefined;
}
