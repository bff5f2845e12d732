import type { AuthService } from '../auth/service.ts';
import { pause } from '../base/backoff.ts';
import type { Service } from '../base/service.ts';
import { openLog } from '../log/open-log.ts';
import { advertisedHost } from './advertise.ts';
import { buildNode } from './build-node.ts';
import { buildProxy } from './build-proxy.ts';
import type { Role } from './configuration.ts';
import { serviceOf, type Closers } from './host-service.ts';
import { joinedStanding, localStanding, type StandingOf } from './host-standing.ts';
import { saveIdentity } from './identity-store.ts';
import { keepKnownPlaces, readKnownPlaces, refuseStoreThatWentBack } from './known-places.ts';
import { exportLogMetrics } from './log-metrics.ts';
import { openBackend, openedWithin, openingMs } from './open-backend.ts';
import { startedPatiently } from './patient-start.ts';
import { placeOf } from './storage-schema.ts';
import { servingOf } from './serving-of.ts';
import { openLogKeyring } from './open-keyring.ts';
import type { Parts } from './parts.ts';
import { openWitnesses } from './witness.ts';
import { lookForWitnessed } from './witnessed-places.ts';
import { readTokenLines } from './static-tokens.ts';

/** The services in the order they start: what others stand on comes first. Each role is loaded only where it runs. */
export function servicesOf(parts: Parts): Service[] {
  const { roles } = parts.configuration;
  const services: Service[] = [];
  const auth: { current?: AuthService } = {};
  const authNow = (): AuthService => {
    if (auth.current === undefined) throw new Error('the auth service starts before those that need it');
    return auth.current;
  };
  if (roles.has('auth')) {
    tellUnused(parts);
    services.push(
      startedPatiently(
        'auth',
        (leftMs) =>
          serviceOf('auth', async (closers) => {
            auth.current = await buildAuth(parts, closers, leftMs);
            return auth.current;
          }),
        {
          withinMs: openingMs(parts.configuration.storage),
          clock: () => performance.now(),
          pause,
          sink: parts.logger('auth'),
          waitsFor: (text) => {
            parts.waitsFor('auth', text);
          },
        },
      ),
      serviceOf('admin', () => Promise.resolve(adminIdentityService(parts, authNow))),
    );
  }
  const standingOf = (closers: Closers, stopping: AbortSignal): StandingOf =>
    roles.has('auth')
      ? (role, names) => localStanding(parts, authNow(), { role, names, closers })
      : (role, names) => joinedStanding(parts, { role, names, closers, stopping });
  const add = (role: Role, build: typeof buildNode): void => {
    if (roles.has(role))
      services.push(serviceOf(role, (closers, stopping) => build(parts, standingOf(closers, stopping))));
  };
  add('proxy', buildProxy);
  add('node', buildNode);
  return services;
}

/** A process with the auth role uses that one, whatever else is configured; tctl tries all of auth_servers. */
function tellUnused({
  configuration: {
    join: { given },
  },
  logger,
}: Parts): void {
  const unused = given.filter((key) => key !== 'auth_servers');
  if (unused.length > 0)
    logger('process').warn(`not used, because this process has the auth role itself: ${unused.join(', ')}`);
}

/** @param leftMs how long the store is waited for. */
async function buildAuth(parts: Parts, closers: Closers, leftMs: number): Promise<AuthService> {
  const { configuration, world, logger, metrics, listeners, hostId } = parts;
  const sink = logger('auth');
  const driver = await openBackend(openedWithin(configuration.storage, leftMs), {
    sink,
    world,
    waitsFor: (text) => {
      parts.waitsFor('auth', text);
    },
  });
  let keyring;
  try {
    keyring = await openLogKeyring(configuration, { store: driver, world, sink });
  } catch (e) {
    await driver.close();
    throw e;
  }
  const store = placeOf(configuration.storage);
  const known = readKnownPlaces(configuration.dataDir, store);
  const log = await openLog({ driver, keyring, world, writer: hostId, sink, known });
  closers.add(() => log.close());
  refuseStoreThatWentBack(log);
  const { witness } = configuration.file.teleport.storage;
  await lookForWitnessed(log, witness, sink);
  refuseStoreThatWentBack(log);
  const places = keepKnownPlaces(log, { dataDir: configuration.dataDir, store, sink });
  closers.add(() => {
    places.close();
  });
  const witnesses = openWitnesses(witness, { sink, world, metrics });
  closers.add(() => witnesses.close());
  exportLogMetrics(log, metrics);
  const { createAuthService } = await import('../auth/service.ts');
  return createAuthService({
    log,
    world,
    sink,
    metrics,
    listeners,
    witnesses,
    config: {
      hostId,
      nodename: configuration.nodename,
      clusterName: configuration.clusterName,
      nameIsDefault: configuration.file.auth_service.cluster_name === undefined,
      listenAddress: configuration.listen.auth,
      publicAddresses: [
        advertisedHost(configuration.advertiseIp, configuration.listen.auth.host),
        ...configuration.file.auth_service.public_addr.map((a) => a.host),
      ],
      secondFactor: configuration.file.auth_service.authentication.second_factor,
      settings: { 'auth_service.authentication.type': configuration.file.auth_service.authentication.type },
      reservedNames: [
        ...configuration.file.auth_service.public_addr,
        ...configuration.file.proxy_service.public_addr,
        ...configuration.file.proxy_service.ssh_public_addr,
      ].map((a) => a.host),
      staticTokens: readTokenLines(configuration.file.auth_service.tokens),
      servedBy: () => servingOf(configuration.file.teleport.auth_servers ?? [], world),
      maxLogLagMs: configuration.file.auth_service.max_log_lag,
      quotas: configuration.file.auth_service.quotas,
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
