import type { Duplex } from 'node:stream';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import { formatHostPort, type HostPort } from '../base/service.ts';
import type { SignClient } from '../ssh/signed-client.ts';
import type { DialAddress, DialNode } from './dial.ts';
import type { LookUpName } from './look-up-name.ts';
import { greetNode, type Introduction } from './node-hello.ts';
import type { NodeDirectory } from './proxy-views.ts';
import type { AuthTarget, NodeTarget } from './request-target.ts';
import { allowedOutside, needsDns, resolveNode, withoutCluster } from './resolve-node.ts';

/** Who asks, as its certificate and its connection say. */
export interface Client {
  readonly address: HostPort;
  /** Empty when the certificate names none. */
  readonly routeToCluster: string;
}

/**
 * Decides what a client with a valid certificate may reach, and opens it: a stream of bytes. Who may log in there as whom
 * is decided by the node. It knows nothing of SSH channels: any carrier that has authenticated the client may call it.
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
  readonly lookUpName: LookUpName;
  readonly dialNode: DialNode;
  readonly dialAddress: DialAddress;
  /** Proves to nodes what this proxy says of its clients. */
  readonly signClient: SignClient;
  /** Where auth servers are. */
  readonly authServers: readonly HostPort[];
  /** Servers that are no nodes and may be reached all the same. */
  readonly plainSshHosts: readonly HostPort[];
}

export const targetOpener =
  (deps: TargetDeps): OpenTarget =>
  async (target, client, signal) => {
    const routed = client.routeToCluster === '' ? deps.clusterName : client.routeToCluster;
    const cluster = target.cluster ?? routed;
    if (cluster !== deps.clusterName)
      throw new CodedError(
        'not_found',
        `invalid format for proxy request: unknown cluster ${JSON.stringify(cluster)}`,
      );
    return target.kind === 'auth' ? openAuth(deps, signal) : openHost(deps, target, client, signal);
  };

async function openHost(
  deps: TargetDeps,
  target: NodeTarget,
  client: Client,
  signal: AbortSignal,
): Promise<Duplex> {
  const { nodes, clusterName, lookUpName, plainSshHosts, dialAddress, signClient } = deps;
  const index = nodes.index();
  const wanted = { host: withoutCluster(target.host, clusterName), port: target.port };
  try {
    const node = resolveNode(index, wanted, {
      dns: needsDns(index, wanted.host) ? await lookUpName(wanted.host) : [],
      isAlive: ({ hostId }) => nodes.isAlive(hostId),
    });
    return await openNode(deps, node, client, signal);
  } catch (e) {
    const outside = isCoded(e, 'not_found') ? allowedOutside(plainSshHosts, target) : undefined;
    if (outside === undefined) throw e;
    const introduction = { client: client.address, hostId: undefined, signClient };
    return greeted(await dialAddress(outside, signal), introduction, signal);
  }
}

/**
 * Why a node does not answer is for the proxy's operator: whoever may announce an address, and ask for it, would else learn
 * what listens wherever the proxy can reach.
 */
async function openNode(
  { dialNode, nodes, signClient }: TargetDeps,
  node: ReturnType<typeof resolveNode>,
  client: Client,
  signal: AbortSignal,
): Promise<Duplex> {
  try {
    const introduction = { client: client.address, hostId: node.hostId, signClient };
    return await greeted(await dialNode(node, signal), introduction, signal);
  } catch (e) {
    if (!isCoded(e, 'unavailable')) throw e;
    const since = nodes.goneSince(node.hostId);
    const seen = since === undefined ? '' : ` (the node was last seen ${since})`;
    const why = new CodedError('unavailable', `at ${formatHostPort(node.address)}, ${e.message}`, {
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

/** The raw TLS port of an auth server: who calls is proven there, by the client's own certificate. */
async function openAuth({ authServers, dialAddress }: TargetDeps, signal: AbortSignal): Promise<Duplex> {
  const failures: string[] = [];
  for (const server of authServers) {
    try {
      return await dialAddress(server, signal);
    } catch (e) {
      if (!isCoded(e, 'unavailable')) throw e;
      failures.push(messageOf(e));
    }
  }
  throw new CodedError('unavailable', `no auth server answers: ${failures.join('; ')}`);
}
