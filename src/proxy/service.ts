import { type Announcement, announceHost } from '../api/announce-host.ts';
import { absenceOf } from '../api/absence.ts';
import { isWildcard } from '../base/addresses.ts';
import { randomFraction } from '../base/backoff.ts';
import { tellClient } from '../base/client-of.ts';
import { endingOnce, type Grace } from '../base/ending.ts';
import { formatHostPort, type HostPort, type Running, type Service } from '../base/service.ts';
import { version } from '../base/version.ts';
import type { HostInfo } from '../domain/host-info.ts';
import { balancersOf, clientBehind } from './client-address.ts';
import { type Bound, openEntry } from './open-entry.ts';
import { ProxyAudit } from './proxy-audit.ts';
import { proxyCondition } from './proxy-condition.ts';
import type { ProxyConfig, ProxyDeps } from './proxy-deps.ts';
import { doorway } from './door/doorway.ts';
import { openProxyViews } from './proxy-views.ts';
import { webApp } from './web/web-app.ts';
import { selfSignedPair, type WebCertificate } from './web/web-certificate-files.ts';
import { type CertificateWatch, watchWebCertificates } from './web/web-certificate-watch.ts';
import { defaultTimeouts, webServer, type WebProtocol } from './web/web-server.ts';

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
  const { ssh, links, relay, peers, roots } = entry;
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
    ({ socket, headers }) => {
      // What it carries has no headers, so whom it is from is said once.
      const client = clientBehind(socket, (name) => [headers[name]].flat().join(), balancers);
      if (client === undefined) return;
      tellClient(socket, client);
      listeners.strangers.comesFrom(socket, client.host);
    },
  );
  const { greetingMs } = defaultTimeouts;
  const ports = [
    {
      name: 'proxy:tunnel',
      address: config.tunnelListenAddress,
      port: doorway({ link: links.serve, auth: relay.serve }, greetingMs),
    },
    {
      name: 'proxy:peer',
      address: config.peerListenAddress,
      port: doorway({ link: links.serve }, greetingMs),
    },
  ] as const;
  if (certificates !== undefined) web.serve(certificates.pairs());
  const close = async (grace: Grace): Promise<void> => {
    certificates?.close();
    peers.drain(grace.succession !== 'none');
    roots.leave();
    await Promise.all([
      ssh.close(grace.over),
      web.close(grace),
      links.close(grace.over),
      roots.close(grace.over),
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
    leaves: () => links.leaves.names(),
    random: () => randomFraction(world),
    now: () => world.now(),
    leavesOnStop: config.leavesOnStop,
    stopping,
  });
  begun.announcement = announcement;
  links.leaves.onChange(() => {
    announcement.renew();
  });
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
    condition: () => proxyCondition({ ...deps, views, announcement, peers, roots }),
    diagnostics: () => ({
      ...ssh.report(),
      ...links.report(),
      peersLinked: peers.linked,
      roots: roots.report(),
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
