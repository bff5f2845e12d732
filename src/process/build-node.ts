import { join } from 'node:path';
import { formatHostPort, type Service } from '../base/service.ts';
import { advertisedHost } from './identity/advertise.ts';
import type { StandingOf } from './identity/host-standing.ts';
import type { Parts } from './parts.ts';

/** The SSH node with everything it needs. */
export async function buildNode(parts: Parts, standingOf: StandingOf): Promise<Service> {
  const { configuration, world, logger, metrics, listeners, hostId } = parts;
  const publicAddresses = configuration.file.ssh_service.public_addr.map(formatHostPort);
  const advertise = advertisedHost(configuration.advertiseIp, configuration.listen.ssh.host);
  const names = [
    configuration.nodename,
    hostId,
    advertise(),
    ...configuration.file.ssh_service.public_addr.map((a) => a.host),
  ];
  const standing = await standingOf('Node', [...new Set(names)]);
  const { createNodeService } = await import('../node/service.ts');
  return createNodeService({
    ...standing,
    world,
    sink: logger('node'),
    metrics,
    listeners,
    lookUpName: parts.lookUpName,
    config: {
      hostId,
      nodename: configuration.nodename,
      leavesOnStop: configuration.file.teleport.leave_on_stop,
      clusterName: standing.identity.current().clusterName,
      listenAddress: configuration.listen.ssh,
      advertiseIp: advertise,
      publicAddresses,
      labels: configuration.labels,
      commandLabels: [...configuration.commandLabels],
      permitUserEnvironment: configuration.permitUserEnvironment,
      acceptEnv: configuration.file.ssh_service.accept_env,
      admitLockedAccounts: configuration.file.ssh_service.admit_locked_accounts,
      sshAlgorithms: configuration.sshAlgorithms,
      programPath: [...parts.programPath],
      liveSessions: join(configuration.dataDir, 'sessions'),
      recordingSpool: join(configuration.dataDir, 'log', 'recordings'),
    },
  });
}
