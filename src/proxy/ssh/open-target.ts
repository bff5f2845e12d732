import type { Duplex } from 'node:stream';
import { CodedError, isCoded } from '../../base/errors.ts';
import type { Asking } from '../../base/name-lookup.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { whereabouts } from '../../domain/reachability.ts';
import type { SignClient } from '../../ssh/signed-client.ts';
import type { DialLeaf } from '../tunnel/dial-leaf.ts';
import type { DialAddress } from './dial.ts';
import type { DiallerOf } from './dial-node.ts';
import type { AddressesOf } from './look-up-name.ts';
import { greetNode, type Introduction } from './node-hello.ts';
import type { KnownNode } from './node-index.ts';
import type { NodeDirectory } from '../proxy-views.ts';
import type { OpenAuth } from './open-auth.ts';
import type { AuthTarget, NodeTarget } from './request-target.ts';
import { allowedOutside, needsDns, resolveNode, withoutCluster } from './resolve-node.ts';

/** The client, from its certificate and its connection. */
export interface Client {
  readonly username: string;
  readonly address: HostPort;
  /** The balancer that named the address; undefined: none did. */
  readonly balancer?: HostPort | undefined;
  /** Empty when the certificate names none. */
  readonly routeToCluster: string;
  /** UUID that the first session on a node is to have; undefined: one that the node makes. */
  readonly session?: string | undefined;
}

/**
 * Decides what a client with a valid certificate may reach, and opens it: a stream of bytes. The node decides
 * who may log in there as whom. This code knows nothing of SSH channels: any carrier that has authenticated
 * the client may call it.
 * @throws CodedError with a message for the person; `signal` ends what is under way.
 */
export type OpenTarget = (
  target: NodeTarget | AuthTarget,
  client: Client,
  signal: AbortSignal,
) => Promise<Duplex>;

export interface TargetDeps {
  readonly clusterName: string;
  readonly nodes: NodeDirectory;
  readonly lookUpName: AddressesOf;
  readonly diallerOf: DiallerOf;
  readonly dialAddress: DialAddress;
  /** Proves to nodes what this proxy states about its clients. */
  readonly signClient: SignClient;
  readonly openAuth: OpenAuth;
  /** Servers that are not nodes and may be reached anyway. */
  readonly plainSshHosts: readonly HostPort[];
  /** Clusters that trust this one, and may be reached through this proxy. */
  readonly leaves: Leaves;
}

export interface Leaves {
  /** Their names. */
  known(): readonly string[];
  readonly dial: DialLeaf;
}

/** For whoever comes from another cluster: that has leaves of its own. */
export const noLeaves: Leaves = {
  known: () => [],
  dial: () => Promise.reject(new Error('bug: there is no leaf')),
};

export const targetOpener =
  (deps: TargetDeps): OpenTarget =>
  async (target, client, signal) => {
    const cluster = clusterMeant(deps, target, client);
    if (cluster !== deps.clusterName) return openInLeaf(deps.leaves, cluster, { target, client, signal });
    const asking = { by: client.username, signal };
    return target.kind === 'auth' ? deps.openAuth(asking) : openHost(deps, target, client, asking);
  };

/**
 * The cluster that a client means: the one it names; else the one that the name of the node ends with, which
 * is how stock clients name it; else the one that its certificate routes to; else this one.
 */
function clusterMeant(
  { clusterName, nodes, leaves }: TargetDeps,
  target: NodeTarget | AuthTarget,
  { routeToCluster }: Client,
): string {
  if (target.kind === 'auth') return target.cluster;
  if (target.cluster !== undefined) return target.cluster;
  const { host } = target;
  const isIn = (name: string): boolean => withoutCluster(host, name) !== host;
  const [longest] = [clusterName, ...leaves.known()].filter(isIn).sort((a, b) => b.length - a.length);
  if (longest === clusterName) return clusterName;
  // A node of this cluster may have such a name.
  const isOwnNode = (): boolean => nodes.index().byName(host).length > 0;
  if (longest !== undefined && !isOwnNode()) return longest;
  return routeToCluster === '' ? clusterName : routeToCluster;
}

async function openInLeaf(
  leaves: Leaves,
  clusterName: string,
  { target, client, signal }: { target: NodeTarget | AuthTarget; client: Client; signal: AbortSignal },
): Promise<Duplex> {
  if (!leaves.known().includes(clusterName))
    throw new CodedError(
      'not_found',
      `invalid format for proxy request: unknown cluster ${JSON.stringify(clusterName)}`,
    );
  const { kind } = target;
  const wanted = kind === 'auth' ? { kind } : { kind, host: target.host, port: target.port };
  const { username, address } = client;
  return leaves.dial(clusterName, { target: wanted, username, client: formatHostPort(address) }, signal);
}

async function openHost(
  deps: TargetDeps,
  target: NodeTarget,
  client: Client,
  asking: Asking,
): Promise<Duplex> {
  const { nodes, clusterName, lookUpName, plainSshHosts, dialAddress, signClient } = deps;
  const index = nodes.index();
  const wanted = { host: withoutCluster(target.host, clusterName), port: target.port };
  try {
    const node = resolveNode(index, wanted, {
      dns: needsDns(index, wanted.host) ? await lookUpName(wanted.host, asking) : [],
      isAlive: ({ hostId }) => nodes.isAlive(hostId),
    });
    return await openNode(deps, node, client, asking);
  } catch (e) {
    const outside = isCoded(e, 'not_found') ? allowedOutside(plainSshHosts, target) : undefined;
    if (outside === undefined) throw e;
    const introduction = { client: client.address, hostId: undefined, signClient };
    return greeted(await dialAddress(outside, asking), introduction, asking.signal);
  }
}

/**
 * Why a node does not reply is shown only to the proxy's operator: otherwise anybody who can announce an
 * address, and then request it, would learn what listens wherever the proxy can reach.
 */
async function openNode(
  { diallerOf, nodes, signClient }: TargetDeps,
  node: KnownNode,
  client: Client,
  asking: Asking,
): Promise<Duplex> {
  // A node that was taken over might ignore its lock, so nobody is connected to it.
  const locked = nodes.lockedBy(node);
  if (locked !== undefined) throw new CodedError('access_denied', locked);
  const dial = diallerOf(node);
  try {
    const { address, balancer, session } = client;
    const introduction = { client: address, balancer, hostId: node.hostId, signClient, session };
    return await greeted(await dial(asking), introduction, asking.signal);
  } catch (e) {
    if (!isCoded(e, 'unavailable')) throw e;
    const since = nodes.goneSince(node.hostId);
    const seen = since === undefined ? '' : ` (the node was last seen ${since})`;
    const why = new CodedError('unavailable', `${whereabouts(node.reachability)}, ${e.message}`, {
      cause: e,
    });
    throw new CodedError(
      'unavailable',
      `cannot reach node ${node.nodename}${seen}: the log and the audit of this proxy say why`,
      { cause: why },
    );
  }
}

async function greeted(stream: Duplex, introduction: Introduction, signal: AbortSignal): Promise<Duplex> {
  const leave = (): void => void stream.destroy();
  signal.addEventListener('abort', leave);
  try {
    if (signal.aborted) leave();
    await greetNode(stream, introduction);
    return stream;
  } finally {
    signal.removeEventListener('abort', leave);
  }
}
