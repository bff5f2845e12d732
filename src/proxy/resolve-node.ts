import { isIP } from 'node:net';
import { CodedError } from '../base/errors.ts';
import { parseHostPort } from '../base/addresses.ts';
import type { HostPort } from '../base/service.ts';
import type { HostInfo } from '../domain/host-info.ts';

const uuidLike = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const defaultPort = 3022;

export interface ResolvedNode {
  readonly hostId: string;
  readonly nodename: string;
  readonly address: HostPort;
}

/** `node1.example` is `node1` of the cluster `example`: what stock clients are told to call it. */
export const withoutCluster = (host: string, clusterName: string): string =>
  host.toLowerCase().endsWith(`.${clusterName.toLowerCase()}`)
    ? host.slice(0, -clusterName.length - 1)
    : host;

/**
 * Which node a name means: a UUID, a host name, the node's own address, or a name that DNS says is it.
 * @param addressesOf what DNS answered for the name; empty when it was not asked or knows nothing.
 * @throws CodedError `not_found`; `bad_request` `err-node-is-ambiguous` when several nodes fit.
 */
export function resolveNode(
  nodes: readonly HostInfo[],
  { host, port }: { host: string; port: number },
  addressesOf: readonly string[] = [],
): ResolvedNode {
  if (uuidLike.test(host)) {
    const node = nodes.find((n) => n.hostId === host.toLowerCase());
    if (node === undefined)
      throw new CodedError('not_found', `unable to locate node matching uuid-like target ${host}`);
    return resolved(node);
  }
  const wanted = host.toLowerCase();
  const fitting = nodes.filter((node) => {
    const address = parseHostPort(node.address, defaultPort);
    const named =
      node.nodename.toLowerCase() === wanted || address.host === host || addressesOf.includes(address.host);
    return named && (port === 0 || port === address.port);
  });
  const [first, second] = fitting;
  if (first === undefined)
    throw new CodedError(
      'not_found',
      `no node of this cluster is called ${host}${port === 0 ? '' : `, or it does not listen on port ${port}`} (tsh ls shows them)`,
    );
  if (second !== undefined) throw new CodedError('bad_request', 'err-node-is-ambiguous');
  return resolved(first);
}

/** True when a name could only mean something by DNS: no node is called so, and it is no address. */
export const needsDns = (nodes: readonly HostInfo[], host: string): boolean =>
  isIP(host) === 0 &&
  !uuidLike.test(host) &&
  !nodes.some((n) => n.nodename.toLowerCase() === host.toLowerCase());

const resolved = (node: HostInfo): ResolvedNode => ({
  hostId: node.hostId,
  nodename: node.nodename,
  address: parseHostPort(node.address, defaultPort),
});
