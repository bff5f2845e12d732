import { lookup } from 'node:dns/promises';
import type { Duplex } from 'node:stream';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { HostPort, Metrics } from '../base/service.ts';
import type { World } from '../base/world.ts';
import { userIdentityOf } from '../pki/user-certificate.ts';
import type { ConnectionHandlers, SessionRequest, SshConnection } from '../ssh/cert-server.ts';
import type { ServerSessionChannel } from '../ssh/channel-types.ts';
import { hostsInRole } from '../views/hosts.ts';
import { presenceOf } from '../views/presence.ts';
import type { Dial } from './dial.ts';
import { joinStreams } from './join-streams.ts';
import { greetNode } from './node-hello.ts';
import type { ProxyViews } from './proxy-views.ts';
import { parseRequestTarget, type RequestTarget } from './request-target.ts';
import { needsDns, resolveNode, withoutCluster } from './resolve-node.ts';

export interface RelayDeps {
  readonly views: ProxyViews;
  readonly dial: Dial;
  /** Where auth servers are. */
  readonly authServers: readonly HostPort[];
  readonly clusterName: () => string;
  readonly metrics: Metrics;
  readonly sink: LogSink;
  readonly world: World;
}

/**
 * Opens the stream that a target means, for a client with this certificate. Who may log in there as whom is decided by the
 * node. Any carrier may call it: SSH channels do.
 * @throws CodedError with a message for the person.
 */
export async function openTarget(
  deps: RelayDeps,
  target: Exclude<RequestTarget, { kind: 'sites' }>,
  client: { readonly address: HostPort; readonly routeToCluster: string },
): Promise<Duplex> {
  const cluster =
    target.cluster ?? (client.routeToCluster === '' ? deps.clusterName() : client.routeToCluster);
  if (cluster !== deps.clusterName())
    throw new CodedError('not_found', `invalid format for proxy request: unknown cluster "${cluster}"`);
  if (target.kind === 'auth') return openAuth(deps);
  const nodes = hostsInRole(deps.views.hosts.state(), 'Node');
  const host = withoutCluster(target.host, cluster);
  const addresses = needsDns(nodes, host) ? await addressesOf(host) : [];
  const node = resolveNode(nodes, { host, port: target.port }, addresses);
  try {
    const socket = await deps.dial(node.address);
    await greetNode(socket, client.address);
    return socket;
  } catch (e) {
    throw new CodedError('unavailable', `${messageOf(e)}${lastSeen(deps, node.hostId)}`, { cause: e });
  }
}

function lastSeen({ views, world }: RelayDeps, hostId: string): string {
  const presence = presenceOf(views.presence.state(), { hostId, role: 'Node' }, world.now());
  return presence.status === 'gone' ? ` (the node was last seen ${presence.lastSeenAt})` : '';
}

async function openAuth({ authServers, dial }: RelayDeps): Promise<Duplex> {
  const failures: string[] = [];
  for (const server of authServers) {
    try {
      return await dial(server);
    } catch (e) {
      failures.push(messageOf(e));
    }
  }
  throw new CodedError('unavailable', `no auth server answers: ${failures.join('; ')}`);
}

async function addressesOf(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch {
    return []; // a name that DNS does not know either is answered as an unknown node
  }
}

/** What one client may do on the proxy: ask for a target by subsystem, or by direct-tcpip (`ssh -J`). */
export function relayFor(deps: RelayDeps, connection: SshConnection): ConnectionHandlers {
  const client = {
    address: connection.peer.remoteAddress,
    routeToCluster: userIdentityOf(connection.certificate).routeToCluster,
  };
  const carry = async (stream: Duplex, channel: Duplex): Promise<void> => {
    deps.metrics.add('proxy_ssh_sessions_total', 1);
    await joinStreams(stream, channel);
  };
  return {
    session: (open) => {
      const channel: ServerSessionChannel = open.accept((request) => {
        answer(request, channel).catch((e: unknown) => {
          if (!isCoded(e)) deps.sink.error(`relay: ${messageOf(e)}`);
          request.reject(`${messageOf(e)}\n`);
          void channel.finish({ status: 'unknown' });
        });
      });
    },
    forward: (open) => {
      const { host, port } = open.target;
      openTarget(deps, { kind: 'node', host, port, cluster: undefined }, client).then(
        (stream) => carry(stream, open.accept()),
        (e: unknown) => {
          if (!isCoded(e)) deps.sink.error(`relay: ${messageOf(e)}`);
          open.reject('connect_failed', messageOf(e));
        },
      );
    },
  };

  async function answer(request: SessionRequest, channel: ServerSessionChannel): Promise<void> {
    // Any variable is taken, as stock clients send LANG, and so is the agent, which only a recording proxy would use: neither
    // has an effect here, and refusing them would stop clients that ask as a matter of course.
    if (request.type === 'env' || request.type === 'agent-forwarding') {
      request.accept();
      return;
    }
    if (request.type !== 'subsystem')
      throw new CodedError(
        'bad_request',
        `this is the proxy of cluster ${deps.clusterName()}: it gives no shell and runs no command. ` +
          `Use "tsh ssh login@node", or "ssh -J ${connection.username}@proxy:port login@node"`,
      );
    const target = parseRequestTarget(request.name);
    if (target === undefined) throw new CodedError('bad_request', `unrecognized subsystem: ${request.name}`);
    if (target.kind === 'sites') {
      request.accept();
      channel.end(sitesText(deps));
    } else {
      const stream = await openTarget(deps, target, client);
      request.accept();
      await carry(stream, channel);
    }
    await channel.finish({ status: 'unknown' });
  }
}

const sitesText = ({ clusterName, world }: RelayDeps): string =>
  JSON.stringify([{ name: clusterName(), lastconnected: world.now(), status: 'online' }]);
