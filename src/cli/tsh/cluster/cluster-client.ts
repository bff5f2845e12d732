import type { Duplex } from 'node:stream';
import type { z } from 'zod';
import { knownNodes, knownNodesSubsystem } from '../../../api/known-nodes.ts';
import { issuesOf, jsonOrUndefined } from '../../../api/wire-errors.ts';
import { CodedError, isCoded, messageOf } from '../../../base/errors.ts';
import { type HostPort, formatHostPort } from '../../../base/service.ts';
import { type SshClient, connectSsh } from '../../../ssh/cert-client.ts';
import type { SshChannel } from '../../../ssh/channel-types.ts';
import { type Identity, keyIdentity } from '../../../ssh/identity.ts';
import type { CliIo } from '../../cli-io.ts';
import type { ClientIdentity } from '../login/client-identity.ts';
import { type HostTrust, type HostVerdict, type Refusal, createHostTrust } from '../login/host-trust.ts';
import { knownHostName } from '../login/known-hosts.ts';
import type { Settings } from '../settings.ts';
import type { ClusterTrust } from '../trust/cluster-trust.ts';
import type { ProxySsh } from '../ways/proxy-ssh.ts';
import { unknownAuthorityText } from '../trust/trust-text.ts';

/** Everything that is needed to go through a proxy. */
export interface Route {
  readonly identity: ClientIdentity;
  /** Which hosts are trusted. */
  readonly trust: ClusterTrust;
  /** SSH address of the proxy. */
  readonly proxy: HostPort;
  readonly proxyUsername: string | undefined;
  /** The requested cluster. */
  readonly cluster: string;
  /** Which hosts of it are trusted, where it is not the one of the proxy. */
  readonly inside?: ClusterTrust | undefined;
  /** How its SSH is reached; undefined: at its address. */
  readonly ways?: ProxySsh | undefined;
}

/** One cluster as the proxy knows it. */
export interface Site {
  readonly name: string;
  readonly status: string;
}

export interface NodeAddress {
  /** Name, address or host id; the node's certificate must contain it. */
  readonly host: string;
  /** Undefined: whatever the node listens on. */
  readonly port: number | undefined;
  readonly login: string;
}

/** Thrown when the proxy does not accept our certificate: a new login may help. */
export class LoginRefused extends CodedError {
  constructor(message: string, options?: ErrorOptions) {
    super('access_denied', message, options);
  }
}

/** The proxy does not connect us to the node. */
class NoWayToNode extends CodedError {
  constructor(message: string, options?: ErrorOptions) {
    super('unavailable', message, options);
  }
}

const keepaliveMs = 30_000;

/**
 * A logged-in connection to the proxy, and what is reached through it. Close it.
 * @throws LoginRefused, or CodedError `unavailable` when the proxy cannot be reached.
 */
export const connectCluster = (
  route: Route,
  settings: Settings,
  io: CliIo,
  strictHostKeys = true,
): Promise<ClusterClient> =>
  connectTrusting(
    route,
    createHostTrust(route.trust, settings, io, strictHostKeys),
    io,
    route.inside && createHostTrust(route.inside, settings, io, strictHostKeys),
  );

/**
 * The same, with another judge of hosts that no authority vouches for.
 * @param inside of those in the requested cluster, where that is another one.
 */
export async function connectTrusting(
  route: Route,
  trust: HostTrust,
  io: CliIo,
  inside = trust,
): Promise<ClusterClient> {
  const identity = keyIdentity(route.identity.privateKey, route.identity.certificateBlob);
  const address = formatHostPort(route.proxy);
  const username = route.proxyUsername ?? route.identity.certificate.principals[0] ?? '';
  const dial = async (check: HostVerdict): Promise<SshClient> =>
    connectSsh({
      ...sshBasis(route.trust, io, check),
      target: route.ways === undefined ? route.proxy : { stream: await route.ways.open() },
      username,
      identities: [identity],
      hostPrincipals: [route.proxy.host],
      hostRole: 'Proxy',
    });
  const proxy = await trust.connect(knownHostName(route.proxy), dial, (e, untrusted) => {
    if (untrusted !== undefined)
      return untrustedHost(`the proxy at ${address}`, route.proxy.host, untrusted, route.trust);
    if (isLoginRefused(e))
      return new LoginRefused(
        `the proxy at ${address} refused the certificate of user '${route.identity.username}': ${messageOf(e)}`,
        { cause: e },
      );
    if (isCoded(e, 'misconfigured')) return e;
    return new CodedError('unavailable', `cannot reach the proxy's SSH at ${address}: ${messageOf(e)}`, {
      cause: e,
    });
  });
  return new ClusterClient(route, { proxy, identity, trust: inside }, io);
}

/** The server was trusted, and did not accept our certificate. */
const isLoginRefused = (e: unknown): boolean =>
  e instanceof CodedError && e.message.startsWith('handshake failed: unable to authenticate');

function untrustedHost(
  what: string,
  name: string,
  { reason, announced }: Refusal,
  trust: ClusterTrust,
): CodedError {
  const next =
    announced === undefined
      ? `If the cluster's authority was replaced, fetch the new one: 'tsh logout', then 'tsh login'`
      : unknownAuthorityText(announced, trust.known());
  return new CodedError(
    'access_denied',
    `${what} is not trusted: ${reason}. Wanted: a certificate for the name '${name}' from a host authority of this cluster. ${next}`,
  );
}

const sshBasis = (trust: ClusterTrust, io: CliIo, check: HostVerdict) => ({
  hostAuthorities: () => trust.sshKeys(),
  now: () => BigInt(Math.floor(Date.parse(io.world.now()) / 1000)),
  acceptUnknownHost: check.accept,
  keepaliveMs,
});

interface Open {
  readonly proxy: SshClient;
  readonly identity: Identity;
  /** Of hosts in the requested cluster. */
  readonly trust: HostTrust;
}

export class ClusterClient {
  readonly route: Route;
  private readonly open: Open;
  private readonly io: CliIo;

  constructor(route: Route, open: Open, io: CliIo) {
    this.route = route;
    this.open = open;
    this.io = io;
  }

  /** What the proxy's subsystem `proxysites` returns; the local cluster comes first. */
  async sites(): Promise<readonly Site[]> {
    const { channel } = await this.open.proxy.subsystem('proxysites');
    let text = '';
    for await (const piece of channel as AsyncIterable<Buffer>) text += piece.toString('utf8');
    try {
      return (JSON.parse(text) as unknown[]).map(readSite);
    } catch (e) {
      throw new CodedError('unavailable', `the proxy's list of clusters is not understood: ${messageOf(e)}`);
    }
  }

  /** The nodes that the proxy itself knows of, as it last heard. @throws CodedError `unavailable` */
  async knownNodes(): Promise<z.output<typeof knownNodes>> {
    const { channel } = await this.open.proxy.subsystem(knownNodesSubsystem);
    let text = '';
    for await (const piece of channel as AsyncIterable<Buffer>) text += piece.toString('utf8');
    const parsed = knownNodes.safeParse(jsonOrUndefined(text));
    if (parsed.success) return parsed.data;
    throw new CodedError(
      'unavailable',
      `the proxy's list of nodes is not understood: ${issuesOf(parsed.error)}`,
    );
  }

  /** Which hosts of the requested cluster are trusted. */
  get inside(): ClusterTrust {
    return this.route.inside ?? this.route.trust;
  }

  /** A raw stream to an auth server of a cluster: TLS is spoken inside. */
  async dialAuth(clusterName: string): Promise<Duplex> {
    return (await this.open.proxy.subsystem(`proxy:@${clusterName}`)).channel;
  }

  /**
   * What a node listens on, as a stream: whoever gets it speaks SSH with the node.
   * @throws CodedError `unavailable` when it is not reached.
   */
  async openNode({ host, port }: Omit<NodeAddress, 'login'>, name = host): Promise<SshChannel> {
    const bracketed = host.includes(':') ? `[${host}]` : host;
    const request = `proxy:${bracketed}:${port ?? 0}@default@${this.route.cluster}`;
    const { channel } = await this.open.proxy.subsystem(request).catch((e: unknown) => {
      throw new NoWayToNode(`failed connecting to node ${name}. ${messageOf(e)}`, { cause: e });
    });
    return channel;
  }

  /** The connection to the proxy has ended; with the reason when we did not end it. */
  get lost(): Promise<Error | undefined> {
    return this.open.proxy.closed;
  }

  /**
   * SSH to a node, inside the connection to the proxy. `name` is what people call the node, for messages.
   * @throws CodedError `access_denied` when the node refuses the login, `unavailable` when it is not reached.
   */
  async dialNode(
    address: NodeAddress,
    onAgentChannel?: (channel: SshChannel) => void,
    name = address.host,
  ): Promise<SshClient> {
    const { host, login } = address;
    const dial = async (check: HostVerdict): Promise<SshClient> => {
      const channel = await this.openNode(address, name);
      return connectSsh({
        ...sshBasis(this.inside, this.io, check),
        target: { stream: channel },
        username: login,
        identities: [this.open.identity],
        hostPrincipals: [host],
        hostRole: 'Node',
        ...(onAgentChannel === undefined ? {} : { onAgentChannel }),
      }).catch((e: unknown) => {
        channel.destroy();
        throw e;
      });
    };
    return this.open.trust.connect(host, dial, (e, untrusted) => {
      if (untrusted !== undefined) return untrustedHost(`node ${name}`, host, untrusted, this.inside);
      if (e instanceof NoWayToNode) return e;
      if (isLoginRefused(e))
        return new CodedError(
          'access_denied',
          `access denied to ${login} connecting to ${name} on cluster ${this.route.cluster}`,
          { cause: e },
        );
      return new CodedError('unavailable', `failed connecting to node ${name}: ${messageOf(e)}`, {
        cause: e,
      });
    });
  }

  close(): void {
    this.open.proxy.close();
  }
}

function readSite(site: unknown): Site {
  if (typeof site !== 'object' || site === null || !('name' in site) || typeof site.name !== 'string')
    throw new Error('a cluster without a name');
  return {
    name: site.name,
    status: 'status' in site && typeof site.status === 'string' ? site.status : 'unknown',
  };
}
