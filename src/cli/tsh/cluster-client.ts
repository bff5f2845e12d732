import type { Duplex } from 'node:stream';
import { CodedError, messageOf } from '../../base/errors.ts';
import { type HostPort, formatHostPort } from '../../base/service.ts';
import { type SshClient, connectSsh } from '../../ssh/cert-client.ts';
import type { SshChannel } from '../../ssh/channel-types.ts';
import { type Identity, keyIdentity } from '../../ssh/identity.ts';
import type { CliIo } from '../cli-io.ts';
import type { ClientIdentity } from './client-identity.ts';
import { type HostTrust, createHostTrust } from './host-trust.ts';
import { knownHostName } from './known-hosts.ts';
import type { Settings } from './settings.ts';

/** Everything that is needed to go through a proxy. */
export interface Route {
  readonly identity: ClientIdentity;
  /** SSH address of the proxy. */
  readonly proxy: HostPort;
  readonly proxyUsername: string | undefined;
  /** The cluster that is asked for. */
  readonly cluster: string;
}

/** One cluster as the proxy knows it. */
export interface Site {
  readonly name: string;
  readonly status: string;
}

export interface NodeAddress {
  /** Name, address or host id; the node's certificate must carry it. */
  readonly host: string;
  /** Undefined: whatever the node listens on. */
  readonly port: number | undefined;
  readonly login: string;
}

/** Thrown when the proxy does not take our certificate: a new login may help. */
export class LoginRefused extends CodedError {
  constructor(message: string, options?: ErrorOptions) {
    super('access_denied', message, options);
  }
}

const keepaliveMs = 30_000;

/**
 * A connection to the proxy, logged in, and what is reached through it. Close it.
 * @throws LoginRefused, or CodedError `unavailable` when the proxy cannot be reached.
 */
export async function connectCluster(
  route: Route,
  settings: Settings,
  io: CliIo,
  strictHostKeys = true,
): Promise<ClusterClient> {
  const identity = keyIdentity(route.identity.privateKey, route.identity.certificateBlob);
  const trust = createHostTrust(settings, io, strictHostKeys);
  const address = formatHostPort(route.proxy);
  const username = route.proxyUsername ?? route.identity.certificate.principals[0] ?? '';
  const check = trust.of(knownHostName(route.proxy));
  const proxy = await connectSsh({
    ...sshBasis(route.identity, io, check),
    target: route.proxy,
    username,
    identities: [identity],
    hostPrincipals: [route.proxy.host],
    hostRole: 'Proxy',
  }).catch((e: unknown) => {
    const untrusted = check.refusal();
    if (untrusted !== undefined) throw untrustedHost(`the proxy at ${address}`, route.proxy.host, untrusted);
    if (isLoginRefused(e))
      throw new LoginRefused(
        `the proxy at ${address} refused the certificate of user '${route.identity.username}': ${messageOf(e)}`,
        { cause: e },
      );
    throw new CodedError('unavailable', `cannot reach the proxy's SSH at ${address}: ${messageOf(e)}`, {
      cause: e,
    });
  });
  return new ClusterClient(route, { proxy, identity, trust }, io);
}

/** The server was trusted, and did not take our certificate. */
const isLoginRefused = (e: unknown): boolean =>
  e instanceof CodedError && e.message.startsWith('handshake failed: unable to authenticate');

const untrustedHost = (what: string, name: string, reason: string): CodedError =>
  new CodedError(
    'access_denied',
    `${what} is not trusted: ${reason}. Wanted: a certificate for the name '${name}' from a host authority of this cluster. ` +
      `If the cluster's authority was replaced, fetch the new one: 'tsh logout', then 'tsh login'`,
  );

type HostCheck = ReturnType<HostTrust['of']>;

const sshBasis = (identity: ClientIdentity, io: CliIo, check: HostCheck) => ({
  hostAuthorities: () => identity.hostAuthorities,
  now: () => BigInt(Math.floor(Date.parse(io.world.now()) / 1000)),
  acceptUnknownHost: check.accept,
  keepaliveMs,
});

interface Open {
  readonly proxy: SshClient;
  readonly identity: Identity;
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

  /** What the proxy's subsystem `proxysites` says; the local cluster comes first. */
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

  /** A raw stream to an auth server of the cluster: TLS is spoken inside. */
  async dialAuth(): Promise<Duplex> {
    return (await this.open.proxy.subsystem(`proxy:@${this.route.cluster}`)).channel;
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
    const bracketed = host.includes(':') ? `[${host}]` : host;
    const request = `proxy:${bracketed}:${address.port ?? 0}@default@${this.route.cluster}`;
    const tunnel = await this.open.proxy.subsystem(request).catch((e: unknown) => {
      throw new CodedError('unavailable', `failed connecting to node ${name}. ${messageOf(e)}`, { cause: e });
    });
    const check = this.open.trust.of(host);
    return connectSsh({
      ...sshBasis(this.route.identity, this.io, check),
      target: { stream: tunnel.channel },
      username: login,
      identities: [this.open.identity],
      hostPrincipals: [host],
      hostRole: 'Node',
      ...(onAgentChannel === undefined ? {} : { onAgentChannel }),
    }).catch((e: unknown) => {
      tunnel.channel.destroy();
      const untrusted = check.refusal();
      if (untrusted !== undefined) throw untrustedHost(`node ${name}`, host, untrusted);
      if (isLoginRefused(e))
        throw new CodedError(
          'access_denied',
          `access denied to ${login} connecting to ${name} on cluster ${this.route.cluster}`,
          { cause: e },
        );
      throw new CodedError('unavailable', `failed connecting to node ${name}: ${messageOf(e)}`, { cause: e });
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
