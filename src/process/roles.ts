import { join } from 'node:path';
import { connectAuth } from '../api/auth-connection.ts';
import { openAuditOutbox, type AuditOutbox } from '../api/audit-outbox.ts';
import type { AuthClient } from '../api/client.ts';
import type { AuthService } from '../auth/service.ts';
import { isWildcard } from '../base/addresses.ts';
import { CodedError } from '../base/errors.ts';
import { formatHostPort, type HostPort, type Listeners, type Service } from '../base/service.ts';
import type { World } from '../base/world.ts';
import type { SystemRole } from '../domain/host-info.ts';
import { openKeyring } from '../log/keyring.ts';
import { openLog } from '../log/open-log.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import type { ProxyConfig } from '../proxy/service.ts';
import { advertisedHost } from './advertise.ts';
import type { Configuration } from './configuration.ts';
import { serviceOf, type Closers } from './host-service.ts';
import { saveIdentity } from './identity-store.ts';
import { exportLogMetrics } from './log-metrics.ts';
import type { Logger } from './logger.ts';
import type { MetricsRegistry } from './metrics.ts';
import { openBackend } from './open-backend.ts';

/** What every role is built from. */
export interface Parts {
  readonly configuration: Configuration;
  readonly world: World;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly listeners: Listeners;
  readonly hostId: string;
  /** argv that runs our own hidden commands. */
  readonly programPath: readonly string[];
}

/** The services in the order they start: what others stand on comes first. Each role is loaded only where it runs. */
export function servicesOf(parts: Parts): Service[] {
  const { roles } = parts.configuration;
  const auth: { current?: AuthService } = {};
  const authNow = (): AuthService => {
    if (auth.current === undefined) throw new Error('the auth service starts before those that need it');
    return auth.current;
  };
  const services = [
    serviceOf('auth', async (closers) => {
      auth.current = await buildAuth(parts, closers);
      return auth.current;
    }),
    serviceOf('admin', () => Promise.resolve(adminIdentityService(parts, authNow))),
  ];
  if (roles.has('proxy'))
    services.push(serviceOf('proxy', (closers) => buildProxy(parts, authNow(), closers)));
  if (roles.has('node')) services.push(serviceOf('node', (closers) => buildNode(parts, authNow(), closers)));
  return services;
}

async function buildAuth(parts: Parts, closers: Closers): Promise<AuthService> {
  const { configuration, world, logger, metrics, listeners, hostId } = parts;
  const sink = logger('auth');
  const driver = await openBackend(configuration.storage, { sink, world });
  const log = await openLog({
    driver,
    keyring: await openKeyring(join(configuration.dataDir, 'keyring')),
    world,
    writer: hostId,
    sink,
  });
  closers.add(() => log.close());
  exportLogMetrics(log, metrics);
  const { createAuthService } = await import('../auth/service.ts');
  return createAuthService({
    log,
    world,
    sink,
    metrics,
    listeners,
    config: {
      hostId,
      nodename: configuration.nodename,
      clusterName: configuration.clusterName,
      listenAddress: configuration.listen.auth,
      publicAddresses: [
        advertisedHost(configuration.advertiseIp, configuration.listen.auth.host),
        ...configuration.file.auth_service.public_addr.map((a) => a.host),
      ],
      secondFactor: configuration.file.auth_service.authentication.second_factor,
    },
  });
}

/** Writes the identity by which `tctl` on this machine is known. */
function adminIdentityService({ configuration, hostId }: Parts, auth: () => AuthService): Service {
  return {
    name: 'admin',
    start: async () => {
      const { nodename } = configuration;
      saveIdentity(
        configuration.dataDir,
        await auth().issueHostIdentity({ hostId, nodename, role: 'Admin', additionalPrincipals: [] }),
      );
      let finish: () => void = () => undefined;
      const done = new Promise<void>((resolve) => {
        finish = resolve;
      });
      return {
        done,
        trouble: () => undefined,
        stop: () => {
          finish();
          return Promise.resolve();
        },
      };
    },
  };
}

/** What a host role stands on: its identity, its connection to auth, its audit outbox. */
async function hostParts(
  parts: Parts,
  auth: AuthService,
  role: Extract<SystemRole, 'Proxy' | 'Node'>,
  additionalPrincipals: string[],
  closers: Closers,
): Promise<{ identity: HostIdentity; auth: AuthClient; outbox: AuditOutbox }> {
  const { configuration, world, hostId, logger } = parts;
  const sink = logger(role.toLowerCase());
  const identity = await auth.issueHostIdentity({
    hostId,
    nodename: configuration.nodename,
    role,
    additionalPrincipals,
  });
  saveIdentity(configuration.dataDir, identity);
  const client = connectAuth({ servers: [callable(auth.listenAddress())], identity, sink, world });
  closers.add(() => {
    client.close();
  });
  const outbox = await openAuditOutbox({
    directory: join(configuration.dataDir, 'log', 'upload', role.toLowerCase()),
    client,
    sink,
    world,
    maxPending: 20_000,
  });
  closers.add(() => outbox.close());
  return { identity, auth: client, outbox };
}

async function buildProxy(parts: Parts, auth: AuthService, closers: Closers): Promise<Service> {
  const { configuration, world, logger, metrics, listeners, hostId } = parts;
  const { proxy_service: file } = configuration.file;
  const advertise = advertisedHost(configuration.advertiseIp, configuration.listen.web.host);
  const names = [
    configuration.nodename,
    advertise,
    'localhost',
    '127.0.0.1',
    '::1',
    ...[...file.public_addr, ...file.ssh_public_addr].map((a) => a.host),
  ];
  const standing = await hostParts(parts, auth, 'Proxy', [...new Set(names)], closers);
  const { createProxyService } = await import('../proxy/service.ts');
  return createProxyService({
    ...standing,
    world,
    sink: logger('proxy'),
    metrics,
    listeners,
    config: {
      hostId,
      nodename: configuration.nodename,
      clusterName: standing.identity.clusterName,
      sshListenAddress: configuration.listen.proxySsh,
      webListenAddress: configuration.listen.web,
      publicAddresses: file.public_addr.map(formatHostPort),
      sshPublicAddresses: file.ssh_public_addr.map(formatHostPort),
      advertiseIp: advertise,
      authServers: [callable(auth.listenAddress())],
      web: webOf(configuration),
      balancers: file.trusted_balancers,
      plainSshHosts: file.plain_ssh_hosts,
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
  const files =
    keyFile === undefined || certificateFile === undefined ? undefined : { keyFile, certificateFile };
  return { speaks: configuration.web, directory: configuration.dataDir, files };
}

async function buildNode(parts: Parts, auth: AuthService, closers: Closers): Promise<Service> {
  const { configuration, world, logger, metrics, listeners, hostId } = parts;
  const publicAddresses = configuration.file.ssh_service.public_addr.map(formatHostPort);
  const advertise = advertisedHost(configuration.advertiseIp, configuration.listen.ssh.host);
  const names = [
    configuration.nodename,
    hostId,
    advertise,
    ...configuration.file.ssh_service.public_addr.map((a) => a.host),
  ];
  const standing = await hostParts(parts, auth, 'Node', [...new Set(names)], closers);
  const { createNodeService } = await import('../node/service.ts');
  return createNodeService({
    ...standing,
    world,
    sink: logger('node'),
    metrics,
    listeners,
    config: {
      hostId,
      nodename: configuration.nodename,
      clusterName: standing.identity.clusterName,
      listenAddress: configuration.listen.ssh,
      advertiseIp: advertise,
      publicAddresses,
      labels: configuration.labels,
      commandLabels: [...configuration.commandLabels],
      permitUserEnvironment: configuration.permitUserEnvironment,
      programPath: [...parts.programPath],
    },
  });
}

/** An address to call, from one to listen on. */
const callable = (address: HostPort): HostPort =>
  isWildcard(address.host)
    ? { host: address.host === '::' ? '::1' : '127.0.0.1', port: address.port }
    : address;
