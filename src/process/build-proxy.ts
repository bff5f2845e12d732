import { CodedError } from '../base/errors.ts';
import { formatHostPort, type Service } from '../base/service.ts';
import type { ProxyConfig } from '../proxy/proxy-deps.ts';
import { advertisedHost } from './identity/advertise.ts';
import type { Configuration } from './configuration/configuration.ts';
import { openRootEntry } from './entry/root-entry.ts';
import type { StandingOf } from './identity/host-standing.ts';
import type { Parts } from './parts.ts';

/** The proxy with everything it needs. */
export async function buildProxy(parts: Parts, standingOf: StandingOf): Promise<Service> {
  const { configuration, world, logger, metrics, listeners, hostId } = parts;
  const { proxy_service: file } = configuration.file;
  const advertise = advertisedHost(configuration.advertiseIp, configuration.listen.web.host);
  const names = [
    configuration.nodename,
    advertise(),
    'localhost',
    '127.0.0.1',
    '::1',
    ...[
      ...file.public_addr,
      ...file.ssh_public_addr,
      ...file.tunnel_public_addr,
      ...file.peer_public_addr,
    ].map((a) => a.host),
  ];
  const { authServers, ...standing } = await standingOf('Proxy', [...new Set(names)]);
  const { createProxyService } = await import('../proxy/service.ts');
  return createProxyService({
    ...standing,
    world,
    sink: logger('proxy'),
    metrics,
    listeners,
    lookUpName: parts.lookUpName,
    openRootEntry: (addresses) => openRootEntry(addresses, logger('proxy'), process.env),
    config: {
      hostId,
      nodename: configuration.nodename,
      leavesOnStop: configuration.file.teleport.leave_on_stop,
      clusterName: standing.identity.current().clusterName,
      sshListenAddress: configuration.listen.proxySsh,
      webListenAddress: configuration.listen.web,
      tunnelListenAddress: configuration.listen.tunnel,
      peerListenAddress: configuration.listen.peer,
      publicAddresses: file.public_addr.map(formatHostPort),
      sshPublicAddresses: file.ssh_public_addr.map(formatHostPort),
      tunnelPublicAddresses: file.tunnel_public_addr.map(formatHostPort),
      peerPublicAddresses: file.peer_public_addr.map(formatHostPort),
      advertiseIp: advertise,
      authServers,
      web: webOf(configuration),
      balancers: file.trusted_balancers,
      plainSshHosts: file.plain_ssh_hosts,
      nodeAddresses: file.node_addresses,
      sshAlgorithms: configuration.sshAlgorithms,
    },
  });
}

function webOf(configuration: Configuration): ProxyConfig['web'] {
  const { https_key_file: keyFile, https_cert_file: certificateFile } = configuration.file.proxy_service;
  if ((keyFile === undefined) !== (certificateFile === undefined))
    throw new CodedError(
      'misconfigured',
      'proxy_service: set both https_key_file and https_cert_file, or neither',
    );
  const one = keyFile === undefined || certificateFile === undefined ? [] : [{ keyFile, certificateFile }];
  const more = configuration.file.proxy_service.https_keypairs.map((pair) => ({
    keyFile: pair.key_file,
    certificateFile: pair.cert_file,
  }));
  const files = [...one, ...more];
  return { speaks: configuration.web, directory: configuration.dataDir, files };
}
