import { announceHost } from '../api/announce-host.ts';
import type { AuditOutbox } from '../api/audit-outbox.ts';
import type { AuthClient } from '../api/client.ts';
import { endingOnce, type Grace } from '../base/ending.ts';
import { messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
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
import type { HostIdentity } from '../pki/host-identity.ts';
import { privateKeyFromPem } from '../pki/key-pair.ts';
import { fromAuthorizedKeyLine } from '../pki/ssh-key.ts';
import { clientSigner } from '../ssh/signed-client.ts';
import { defaultAlgorithms, type SshAlgorithms } from '../ssh/algorithms.ts';
import { balancersOf } from './client-address.ts';
import { dialTcp } from './dial.ts';
import { nodeDialler } from './dial-node.ts';
import { nameLookup } from './look-up-name.ts';
import { targetOpener } from './open-target.ts';
import { isOwnListener } from './own-listener.ts';
import { ProxyAudit } from './proxy-audit.ts';
import { nodeDirectory, openProxyViews, type ProxyViews } from './proxy-views.ts';
import { SshFront } from './ssh-front.ts';
import { SshRelay } from './ssh-relay.ts';
import { webApp } from './web-app.ts';
import { selfSignedPair, type WebCertificate } from './web-certificate-files.ts';
import {
  type CertificateFiles,
  type CertificateWatch,
  watchWebCertificates,
} from './web-certificate-watch.ts';
import { webServer, type WebProtocol } from './web-server.ts';

export interface ProxyConfig {
  readonly hostId: string;
  readonly nodename: string;
  readonly clusterName: string;
  readonly sshListenAddress: HostPort;
  readonly webListenAddress: HostPort;
  /** `host:port`, what users call the web port; the first is told to others. */
  readonly publicAddresses: readonly string[];
  readonly sshPublicAddresses: readonly string[];
  /** What this machine calls itself to others. */
  readonly advertiseIp: string;
  readonly authServers: readonly HostPort[];
  readonly web: {
    readonly speaks: 'tls' | 'both' | 'plain';
    /** Where a self-signed pair is kept. */
    readonly directory: string;
    /** None: self-signed. Several: chosen by the name that a client asks for. Read again when they change. */
    readonly files: readonly CertificateFiles[];
  };
  /** Addresses or networks of load balancers whose forwarded headers count; default none. */
  readonly balancers?: readonly string[];
  /**
   * SSH servers that are no nodes of the cluster and may be reached through this proxy all the same, each with its port;
   * default none. 4.4 dialled any `host:port` it was asked for.
   */
  readonly plainSshHosts?: readonly HostPort[];
  /** Addresses or networks where nodes may be though it is not evident: loopback, link-local; default none. */
  readonly nodeAddresses?: readonly string[];
  /** Default: `defaultAlgorithms`. */
  readonly sshAlgorithms?: SshAlgorithms;
}

export interface ProxyDeps {
  readonly identity: HostIdentity;
  readonly auth: AuthClient;
  readonly outbox: AuditOutbox;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  readonly listeners: Listeners;
  readonly config: ProxyConfig;
}

/** The front door: web and SSH. */
export const createProxyService = (deps: ProxyDeps): Service => ({
  name: 'proxy',
  start: (stopping) => start(deps, stopping),
});

async function start(deps: ProxyDeps, stopping: AbortSignal | undefined): Promise<Running> {
  const { auth, listeners, sink, world, config } = deps;
  const bound = { ssh: config.sshListenAddress, web: config.webListenAddress };
  const balancers = balancersOf(config.balancers ?? []);
  const certificates = watchCertificates(deps, (pairs) => {
    web.serve(pairs);
  });
  const protocol = webProtocol(deps, certificates);
  const views = await openProxyViews(auth, { now: () => world.now(), monotonic: () => performance.now() });
  const audit = new ProxyAudit({ ...deps, hostId: config.hostId });
  const ssh = sshFront(deps, views, audit);
  const web = webServer(
    webApp({
      auth,
      world,
      sink,
      clusterName: config.clusterName,
      cluster: () => views.cluster.state(),
      sshAddress: () => bound.ssh,
      publicAddress: config.publicAddresses[0] ?? '',
      sshPublicAddress: config.sshPublicAddresses[0] ?? '',
      balancers,
      tlsOnly: config.web.speaks === 'tls',
    }),
    protocol,
  );
  if (certificates !== undefined) web.serve(certificates.pairs());
  const close = async (grace: Grace): Promise<void> => {
    certificates?.close();
    await Promise.all([ssh.close(grace.over), web.close(grace)]);
    await audit.close();
    views.close();
  };
  try {
    bound.ssh = await listeners.listen('proxy:ssh', ssh.listener, config.sshListenAddress);
    bound.web = await listeners.listen('proxy:web', web.server, config.webListenAddress);
  } catch (e) {
    await endingOnce(close)(0);
    throw e;
  }
  const host = (): HostInfo => hostInfo(config, bound.web);
  const announcement = announceHost({
    auth,
    sink,
    host,
    random: () => fraction(world),
    now: () => world.now(),
    stopping,
  });
  await announcement.first;
  let finish: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  return {
    done,
    trouble: () => troubleOf(deps, views) ?? announcement.trouble(),
    diagnostics: () => ({
      ...ssh.report(),
      auditWaiting: deps.outbox.pending(),
      auth: auth.state.connection().status,
    }),
    stop: endingOnce(async (grace) => {
      await close(grace);
      await announcement.stop();
      finish();
    }),
  };
}

function sshFront(deps: ProxyDeps, views: ProxyViews, audit: ProxyAudit): SshFront {
  const { config, metrics, sink, world } = deps;
  const dialAddress = dialTcp();
  const lookUpName = nameLookup();
  const openTarget = targetOpener({
    clusterName: config.clusterName,
    nodes: nodeDirectory(views),
    lookUpName,
    dialNode: nodeDialler({
      ownHostId: config.hostId,
      allowed: balancersOf(config.nodeAddresses ?? []),
      lookUpName,
      isOwnListener,
      dialAddress,
    }),
    dialAddress,
    signClient: clientSigner(
      privateKeyFromPem(deps.identity.privateKeyPem),
      fromAuthorizedKeyLine(deps.identity.sshCertificate),
    ),
    authServers: config.authServers,
    plainSshHosts: config.plainSshHosts ?? [],
  });
  const relay = new SshRelay({ openTarget, clusterName: config.clusterName, metrics, sink, world, audit });
  const algorithms = config.sshAlgorithms ?? defaultAlgorithms;
  return new SshFront({ ...deps, strangers: deps.listeners.strangers, views, relay, audit, algorithms });
}

/**
 * Undefined when no files are configured, or the port speaks no TLS.
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
  const hostnames = [nodename, advertiseIp, ...publicAddresses.map(hostOf)];
  const certificate =
    configured?.pairs()[0] ?? selfSignedPair(web.directory, { hostnames, now: world.now(), sink });
  return { speaks: web.speaks, certificate };
}

const hostInfo = (config: ProxyConfig, web: HostPort): HostInfo => ({
  hostId: config.hostId,
  role: 'Proxy',
  nodename: config.nodename,
  address: formatHostPort({ host: config.advertiseIp, port: web.port }),
  publicAddress: config.publicAddresses[0] ?? '',
  sshPublicAddress: config.sshPublicAddresses[0] ?? '',
  labels: {},
  version,
});

/** In [0, 1). */
const fraction = (world: World): number => (world.randomBytes(1)[0] ?? 0) / 256;

/** What `/readyz` says of this proxy. */
function troubleOf({ auth, outbox }: ProxyDeps, views: ProxyViews): string | undefined {
  const failure = views.failure();
  if (failure !== undefined)
    return `what this proxy knows of the cluster stands still, nobody can log in: ${messageOf(failure)}`;
  const link = auth.state.connection();
  if (link.status === 'away')
    return `auth is away (${link.reason}): those who have a certificate go on, by what was last known; nobody can log in`;
  return outbox.trouble();
}
