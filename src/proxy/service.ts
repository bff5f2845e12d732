import { createServer as createTcp, type Server } from 'node:net';
import { announceHost } from '../api/announce-host.ts';
import type { AuditOutbox } from '../api/audit-outbox.ts';
import type { AuthClient } from '../api/client.ts';
import { CodedError } from '../base/errors.ts';
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
import { createSshServer, type AuthFailure, type SshServer } from '../ssh/cert-server.ts';
import { mayAct } from '../views/users.ts';
import { dialTcp } from './dial.ts';
import { openProxyViews, userAuthorityBlobs, type ProxyViews } from './proxy-views.ts';
import { refusedLogins } from './proxy-audit.ts';
import { relayFor } from './ssh-relay.ts';
import { webApp } from './web-app.ts';
import { readWebCertificate, selfSignedPair } from './web-certificate-files.ts';
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
    /** Undefined: self-signed. */
    readonly files: { readonly keyFile: string; readonly certificateFile: string } | undefined;
  };
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
export const createProxyService = (deps: ProxyDeps): Service => ({ name: 'proxy', start: () => start(deps) });

async function start(deps: ProxyDeps): Promise<Running> {
  const { auth, outbox, world, sink, listeners, config } = deps;
  const views = await openProxyViews(auth);
  const refusals = refusedLogins({ outbox, world, sink, hostId: config.hostId });
  const ssh = sshServer(deps, views, refusals.record);
  const sshListener = createTcp({ noDelay: true }, (socket) => {
    ssh.accept(socket);
  });
  const bound: { ssh: HostPort; web: HostPort } = {
    ssh: config.sshListenAddress,
    web: config.webListenAddress,
  };
  const web = webServer(
    webApp(
      {
        auth,
        sink,
        clusterName: () => config.clusterName,
        sshAddress: () => bound.ssh,
        publicAddress: config.publicAddresses[0] ?? '',
        sshPublicAddress: config.sshPublicAddresses[0] ?? '',
      },
      () => world.uuid(),
    ),
    webProtocol(config, world),
  );
  try {
    bound.ssh = await listeners.listen('proxy:ssh', sshListener, config.sshListenAddress);
    bound.web = await listeners.listen('proxy:web', web.server, config.webListenAddress);
  } catch (e) {
    await closeListener(sshListener);
    views.close();
    throw e;
  }
  const announcement = announceHost({
    auth,
    sink,
    host: () => hostInfo(config, bound.web),
    random: Math.random,
  });
  await announcement.first;
  let finish: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  return {
    done,
    trouble: () => troubleOf(deps, announcement.trouble()),
    stop: async (graceMs) => {
      const closed = [closeListener(sshListener), web.close(graceMs)];
      await drain(ssh, graceMs);
      await Promise.all(closed);
      await announcement.stop();
      await refusals.close();
      views.close();
      finish();
    },
  };
}

function sshServer(deps: ProxyDeps, views: ProxyViews, record: (failure: AuthFailure) => void): SshServer {
  const { identity, world, sink, metrics, config } = deps;
  const relay = {
    views,
    dial: dialTcp(),
    authServers: config.authServers,
    clusterName: () => config.clusterName,
    metrics,
    sink,
    world,
  };
  return createSshServer(
    {
      hostKeys: [
        {
          privateKey: privateKeyFromPem(identity.privateKeyPem),
          certificate: fromAuthorizedKeyLine(identity.sshCertificate),
        },
      ],
      userAuthorities: () => userAuthorityBlobs(views.authorities.state()),
      now: () => BigInt(Math.floor(Date.parse(world.now()) / 1000)),
      authorize: (certificate) => {
        if (!mayAct(views.users.state(), certificate.keyId, world.now()))
          throw new CodedError('access_denied', `user ${certificate.keyId} does not exist or is locked`);
      },
      onAuthFailure: record,
      version,
      sink,
    },
    (connection) => {
      metrics.add('proxy_ssh_connections_total', 1);
      return relayFor(relay, connection);
    },
  );
}

function webProtocol(
  { web, nodename, publicAddresses, advertiseIp }: ProxyConfig,
  world: World,
): WebProtocol {
  if (web.speaks === 'plain') return { speaks: 'plain' };
  const names = [nodename, advertiseIp, ...publicAddresses.map((address) => address.replace(/:\d+$/, ''))];
  const certificate =
    web.files === undefined
      ? selfSignedPair(web.directory, names, world.now())
      : readWebCertificate(web.files.keyFile, web.files.certificateFile);
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

/** What `/readyz` says of this proxy. */
function troubleOf({ auth, outbox }: ProxyDeps, announcement: string | undefined): string | undefined {
  const link = auth.state.connection();
  if (link.status === 'away')
    return `auth is away (${link.reason}): those who have a certificate go on, by what was last known; nobody can log in`;
  return outbox.trouble() ?? announcement;
}

/** Waits for those who are connected, up to `graceMs`, then closes what is left. */
async function drain(ssh: SshServer, graceMs: number): Promise<void> {
  ssh.drain();
  if (graceMs > 0) {
    const limit = new Promise<void>((resolve) => setTimeout(resolve, graceMs).unref());
    await Promise.race([Promise.all(ssh.connections().map((connection) => connection.closed)), limit]);
  }
  await ssh.closeConnections('the server is stopping');
}

const closeListener = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => {
      resolve();
    });
  });
