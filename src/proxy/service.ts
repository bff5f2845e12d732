import type { Duplex } from 'node:stream';
import { type Announcement, announceHost } from '../api/announce-host.ts';
import type { AuditOutbox } from '../api/audit-outbox.ts';
import { absenceOf } from '../api/absence.ts';
import type { AuthClient } from '../api/client.ts';
import { isWildcard } from '../base/addresses.ts';
import { randomFraction } from '../base/backoff.ts';
import { endingOnce, type Grace } from '../base/ending.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { LookUpName } from '../base/name-lookup.ts';
import {
  formatHostPort,
  type HostPort,
  type Listeners,
  type Metrics,
  type Running,
  type Service,
} from '../base/service.ts';
import { version } from '../base/version.ts';
import type { World } from '../base/world.ts';
import type { HostInfo } from '../domain/host-info.ts';
import type { Adopted } from '../domain/rotation-mark.ts';
import { strategyKey, strategyOf } from '../domain/tunnel-strategy.ts';
import type { AuthoritiesState } from '../views/authorities.ts';
import type { CurrentIdentity } from '../pki/current-identity.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import { hostKeysOf } from '../ssh/host-keys.ts';
import { clientSigner, type SignClient } from '../ssh/signed-client.ts';
import { defaultAlgorithms, type SshAlgorithms } from '../ssh/algorithms.ts';
import { balancersOf } from './client-address.ts';
import { dialTcp } from './ssh/dial.ts';
import { directDialler } from './ssh/dial-direct.ts';
import { diallerBy } from './ssh/dial-node.ts';
import { knownNodesOf } from './known-nodes.ts';
import { addressesOf } from './ssh/look-up-name.ts';
import { targetOpener } from './ssh/open-target.ts';
import { isOwnListener } from './ssh/own-listener.ts';
import { ProxyAudit } from './proxy-audit.ts';
import { proxyCondition } from './proxy-condition.ts';
import { nodeDirectory, openProxyViews, type ProxyViews } from './proxy-views.ts';
import { authOpener } from './ssh/open-auth.ts';
import { SshFront } from './ssh/ssh-front.ts';
import { SshRelay } from './ssh/ssh-relay.ts';
import { tunnelDialler } from './tunnel/dial-tunnel.ts';
import { noticeFor, peerPlaces } from './tunnel/fleet.ts';
import { LinkFront } from './tunnel/link-front.ts';
import { Peers } from './tunnel/peers.ts';
import { AuthRelay, tunnelPort } from './tunnel/tunnel-port.ts';
import { webApp } from './web/web-app.ts';
import { selfSignedPair, type WebCertificate } from './web/web-certificate-files.ts';
import {
  type CertificateFiles,
  type CertificateWatch,
  watchWebCertificates,
} from './web/web-certificate-watch.ts';
import { defaultTimeouts, webServer, type WebProtocol } from './web/web-server.ts';

export interface ProxyConfig {
  readonly hostId: string;
  readonly nodename: string;
  readonly clusterName: string;
  readonly sshListenAddress: HostPort;
  readonly webListenAddress: HostPort;
  /** For links of nodes; undefined: the web port serves them alone. */
  readonly tunnelListenAddress?: HostPort | undefined;
  /** For links of other proxies; undefined: the web port serves them alone. */
  readonly peerListenAddress?: HostPort | undefined;
  /** `host:port` by which users call the web port; the first is announced. */
  readonly publicAddresses: readonly string[];
  readonly sshPublicAddresses: readonly string[];
  /** `host:port` where nodes reach the port for links; the first is announced. */
  readonly tunnelPublicAddresses?: readonly string[];
  readonly peerPublicAddresses?: readonly string[];
  /** The address that this machine announces; asked each time. */
  readonly advertiseIp: () => string;
  readonly authServers: readonly HostPort[];
  readonly web: {
    readonly speaks: 'tls' | 'both' | 'plain';
    /** Where a self-signed pair is kept. */
    readonly directory: string;
    /**
     * Empty: self-signed. Several: chosen by the name that a client asks for. Read again when they change.
     */
    readonly files: readonly CertificateFiles[];
  };
  /** Addresses or networks of load balancers whose forwarded headers count; default none. */
  readonly balancers?: readonly string[];
  /**
   * SSH servers that are not nodes of the cluster and may be reached through this proxy anyway, each with its
   * port; default none. 4.4 dialled any requested `host:port`.
   */
  readonly plainSshHosts?: readonly HostPort[];
  /** Addresses or networks where nodes may be although it is unusual: loopback, link-local; default none. */
  readonly nodeAddresses?: readonly string[];
  /** Default: `defaultAlgorithms`. */
  readonly sshAlgorithms?: SshAlgorithms;
}

export interface ProxyDeps {
  readonly identity: CurrentIdentity;
  /** Why a renewal of its certificates is overdue; undefined while it is not. */
  readonly renewalTrouble: () => string | undefined;
  /** How far it follows the rotations of authorities, compared with the state folded here. */
  readonly adopted: (authorities: AuthoritiesState) => Adopted;
  /** Called with the time over which the machines of the cluster spread what all of them do at once. */
  readonly onSpread: (ms: number) => void;
  readonly auth: AuthClient;
  readonly outbox: AuditOutbox;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  readonly listeners: Listeners;
  readonly lookUpName: LookUpName;
  readonly config: ProxyConfig;
}

/** The proxy: web and SSH. */
export function createProxyService(deps: ProxyDeps): Service {
  const begun: { announcement?: Announcement } = {};
  return {
    name: 'proxy',
    start: (stopping) => start(deps, stopping, begun),
    waitsFor: () => absenceOf(deps.auth) ?? begun.announcement?.trouble(),
  };
}

async function start(
  deps: ProxyDeps,
  stopping: AbortSignal | undefined,
  begun: { announcement?: Announcement },
): Promise<Running> {
  const { auth, listeners, sink, world, config } = deps;
  const bound: Bound = {
    ssh: config.sshListenAddress,
    web: config.webListenAddress,
    tunnel: config.tunnelListenAddress,
    peer: config.peerListenAddress,
  };
  const balancers = balancersOf(config.balancers ?? []);
  const certificates = watchCertificates(deps, (pairs) => {
    web.serve(pairs);
  });
  const protocol = webProtocol(deps, certificates);
  const views = await openProxyViews(
    auth,
    { now: () => world.now(), monotonic: () => performance.now() },
    sink,
  );
  const audit = new ProxyAudit({ ...deps, hostId: config.hostId });
  const entry = openEntry(deps, views, audit, bound);
  const { ssh, links, relay, peers } = entry;
  const web = webServer(
    webApp({
      auth,
      world,
      sink,
      clusterName: config.clusterName,
      cluster: () => views.cluster.state(),
      hostAuthority: () => views.authorities.state().host.state,
      userAuthority: () => views.authorities.state().user.state,
      sshAddress: () => bound.ssh,
      tunnelAddress: () => bound.tunnel,
      publicAddress: config.publicAddresses[0] ?? '',
      sshPublicAddress: config.sshPublicAddresses[0] ?? '',
      tunnelPublicAddress: config.tunnelPublicAddresses?.[0] ?? '',
      balancers,
      tlsOnly: config.web.speaks === 'tls',
      webWays: ['web', ...(config.web.speaks === 'plain' ? [] : ['web-tls']), 'web-upgrade'],
    }),
    protocol,
    defaultTimeouts,
    { ssh: entry.enterSsh, link: links.serve, auth: relay.serve },
  );
  const ports = [
    {
      name: 'proxy:tunnel',
      address: config.tunnelListenAddress,
      port: tunnelPort({ link: links.serve, auth: relay.serve }),
    },
    { name: 'proxy:peer', address: config.peerListenAddress, port: tunnelPort({ link: links.serve }) },
  ] as const;
  if (certificates !== undefined) web.serve(certificates.pairs());
  const close = async (grace: Grace): Promise<void> => {
    certificates?.close();
    peers.stop();
    await Promise.all([
      ssh.close(grace.over),
      web.close(grace),
      links.close(grace.over),
      relay.close(grace.over),
      ...ports.map(({ port }) => port.close(grace.over)),
    ]);
    peers.close();
    await audit.close();
    views.close();
  };
  try {
    bound.ssh = await listeners.listen('proxy:ssh', ssh.listener, config.sshListenAddress);
    bound.web = await listeners.listen('proxy:web', web.server, config.webListenAddress);
    for (const { name, address, port } of ports)
      if (address !== undefined)
        bound[name === 'proxy:tunnel' ? 'tunnel' : 'peer'] = await listeners.listen(
          name,
          port.server,
          address,
        );
  } catch (e) {
    await endingOnce(close)(0);
    throw e;
  }
  const host = (): HostInfo => hostInfo(config, bound);
  const announcement = announceHost({
    auth,
    sink,
    host,
    adopted: () => deps.adopted(views.authorities.state()),
    renewalTrouble: deps.renewalTrouble,
    onSpread: deps.onSpread,
    random: () => randomFraction(world),
    now: () => world.now(),
    stopping,
  });
  begun.announcement = announcement;
  const adopt = (): void => {
    announcement.adopt();
  };
  const adopting = [
    deps.identity.changes.subscribe(adopt),
    // A view that has failed is part of this service's condition.
    views.authorities.changes.subscribe({ next: adopt, error: () => undefined }),
  ];
  await announcement.first;
  let finish: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  return {
    done,
    condition: () => proxyCondition({ ...deps, views, announcement, peers }),
    diagnostics: () => ({
      ...ssh.report(),
      ...links.report(),
      peersLinked: peers.linked,
      auditWaiting: deps.outbox.pending(),
      auth: auth.state.connection().status,
    }),
    stop: endingOnce(async (grace) => {
      for (const one of adopting) one.unsubscribe();
      await close(grace);
      await announcement.stop(grace.succession === 'none' ? 'farewell' : undefined);
      finish();
    }),
  };
}

/** Where its ports are bound; before they are, where they are asked for. */
interface Bound {
  ssh: HostPort;
  web: HostPort;
  tunnel: HostPort | undefined;
  peer: HostPort | undefined;
}

interface Entry {
  readonly ssh: SshFront;
  /** A client of SSH that came to another port. */
  readonly enterSsh: (connection: Duplex) => void;
  readonly links: LinkFront;
  readonly relay: AuthRelay;
  readonly peers: Peers;
}

/** What leads into the cluster: SSH, and the links by which nodes and other proxies are reached. */
function openEntry(deps: ProxyDeps, views: ProxyViews, audit: ProxyAudit, bound: Bound): Entry {
  const { config, identity, metrics, sink, world, listeners } = deps;
  const { hostId, clusterName } = config;
  const { strangers } = listeners;
  const lookUpName = addressesOf(deps.lookUpName);
  const dialAddress = dialTcp(deps.lookUpName);
  const openAuth = authOpener(() => inOrder(config.authServers, deps.auth.servers()), dialAddress);
  const nodes = nodeDirectory(views, () => world.now());
  const peers = new Peers({ identity, places: () => peerPlaces(views, hostId), dialAddress, world, sink });
  const links: LinkFront = new LinkFront({
    ...{ identity, views, world, sink, metrics, strangers },
    openAuth: (by, signal) => openAuth({ by, signal }),
    notice: () =>
      noticeFor(
        views,
        { hostId, address: { host: config.advertiseIp(), port: bound.web.port } },
        strategyOf(views.configuration.state().standing[strategyKey]),
        { allReached: peers.unreachable().length === 0, nodes: links.held.size },
      ),
  });
  const tunnel = tunnelDialler(links.held, peers, nodes.isAlive, { monotonic: () => world.monotonic() });
  const openTarget = targetOpener({
    clusterName,
    nodes,
    lookUpName,
    diallerOf: diallerBy({
      direct: directDialler({
        ownHostId: hostId,
        allowed: balancersOf(config.nodeAddresses ?? []),
        lookUpName,
        isOwnListener,
        dialAddress,
      }),
      tunnel: (node, asking) => tunnel({ ...node, proxies: nodes.hangsOn(node.hostId) }, asking),
    }),
    dialAddress,
    signClient: (statement) => signerFor(identity.current())(statement),
    openAuth,
    plainSshHosts: config.plainSshHosts ?? [],
  });
  const { state, presence } = deps.auth;
  const knownNodes = knownNodesOf(views, () => Math.max(state.ageMs(), presence.ageMs()), world);
  const relay = new SshRelay({ openTarget, knownNodes, clusterName, metrics, sink, world, audit });
  const algorithms = config.sshAlgorithms ?? defaultAlgorithms;
  const ssh = new SshFront({ ...deps, strangers, views, relay, audit, algorithms });
  return { ssh, enterSsh: ssh.enter, links, relay: new AuthRelay(openAuth, sink), peers };
}

/** Reading a key takes as long as a signature, so it is done once for each identity. */
const signers = new WeakMap<HostIdentity, SignClient>();
function signerFor(identity: HostIdentity): SignClient {
  const known = signers.get(identity);
  if (known !== undefined) return known;
  const [key] = hostKeysOf(identity);
  const made = clientSigner(key.privateKey, key.certificate);
  signers.set(identity, made);
  return made;
}

/** The servers in the file, in the order in which this proxy's connection would try them. */
const inOrder = (servers: readonly HostPort[], names: readonly string[]): readonly HostPort[] =>
  servers.toSorted((a, b) => names.indexOf(formatHostPort(a)) - names.indexOf(formatHostPort(b)));

/**
 * Undefined when no files are configured, or the port does not speak TLS.
 * @throws CodedError `misconfigured` naming the file of a bad pair.
 */
function watchCertificates(
  { config, sink, metrics }: ProxyDeps,
  onChange: (pairs: readonly WebCertificate[]) => void,
): CertificateWatch | undefined {
  const { files, speaks } = config.web;
  if (speaks === 'plain' || files.length === 0) return undefined;
  return watchWebCertificates(files, onChange, { sink, metrics });
}

function webProtocol(
  { config, world, sink }: ProxyDeps,
  configured: CertificateWatch | undefined,
): WebProtocol {
  const { web, nodename, publicAddresses, advertiseIp } = config;
  if (web.speaks === 'plain') return { speaks: 'plain' };
  const hostOf = (address: string): string => address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  const hostnames = [nodename, advertiseIp(), ...publicAddresses.map(hostOf)];
  const certificate =
    configured?.pairs()[0] ?? selfSignedPair(web.directory, { hostnames, now: world.now(), sink });
  return { speaks: web.speaks, certificate };
}

const hostInfo = (config: ProxyConfig, { web, peer }: Bound): HostInfo => ({
  hostId: config.hostId,
  role: 'Proxy',
  nodename: config.nodename,
  reachability: { status: 'direct', address: formatHostPort({ host: config.advertiseIp(), port: web.port }) },
  publicAddress: config.publicAddresses[0] ?? '',
  sshPublicAddress: config.sshPublicAddresses[0] ?? '',
  ...(peer && {
    peerAddress:
      config.peerPublicAddresses?.[0] ?? formatHostPort({ host: peerHost(config, peer), port: peer.port }),
  }),
  labels: {},
  version,
});

/** One that listens on a certain address is reached there. */
const peerHost = (config: ProxyConfig, { host }: HostPort): string =>
  isWildcard(host) ? config.advertiseIp() : host;
