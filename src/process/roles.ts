import type { AuthService } from '../auth/service.ts';
import { pause } from '../base/backoff.ts';
import { conditionOf } from '../base/condition.ts';
import type { Service } from '../base/service.ts';
import { replaceableIdentity } from '../pki/current-identity.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import { renewalKey, renewalSetting } from '../domain/login-renewal.ts';
import { second } from '../base/duration.ts';
import { recordingKey } from '../domain/recording.ts';
import { settingsOfLimits } from '../domain/session-limits.ts';
import { strategyKey, strategyText } from '../domain/tunnel-strategy.ts';
import { openLog } from '../log/open-log.ts';
import { advertisedHost } from './identity/advertise.ts';
import { buildNode } from './build-node.ts';
import { buildProxy } from './build-proxy.ts';
import { reachedByWays } from './entry/other-clusters.ts';
import type { Role } from './configuration/configuration.ts';
import { serviceOf, type Closers } from './host-service.ts';
import { joinedStanding, localStanding, type StandingOf } from './identity/host-standing.ts';
import { keepRenewed } from './identity/renew-identity.ts';
import { hostAuthorityOf } from './identity/follow-authority.ts';
import { saveShown } from './identity/identity-store.ts';
import { keepKnownPlaces, readKnownPlaces, refuseStoreThatWentBack } from './store/known-places.ts';
import { exportLogMetrics } from './diagnostics/log-metrics.ts';
import { requireFittingStore } from './store/fitting-store.ts';
import { keepsRecordingsApart, openArchiveOf, openRecordings, requireArchive } from './store/open-archive.ts';
import { openBackend, openedWithin, openingMs } from './store/open-backend.ts';
import { startedPatiently } from './lifecycle/patient-start.ts';
import { placeOf } from './configuration/storage-schema.ts';
import { servingOf } from './serving-of.ts';
import { openLogKeyring } from './store/open-keyring.ts';
import type { Parts } from './parts.ts';
import { openWitnesses } from './witness/witness.ts';
import { lookForWitnessed } from './witness/witnessed-places.ts';
import { bootstrapFrom } from './configuration/bootstrap-from.ts';
import { readTokenLines } from './configuration/static-tokens.ts';

/**
 * The services in the order they start, each after those it depends on. Each role is loaded only where it
 * runs.
 */
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
      services.push(
        serviceOf(
          role,
          (closers, stopping) => build(parts, standingOf(closers, stopping)),
          (text) => {
            parts.waitsFor(role, text);
          },
        ),
      );
  };
  add('proxy', buildProxy);
  add('node', buildNode);
  return services;
}

/**
 * A process with the auth role uses its own auth service, whatever else is configured; tctl tries all of
 * auth_servers.
 */
function tellUnused({
  configuration: {
    join: { given },
  },
  logger,
}: Parts): void {
  const unused = given.filter((key) => key !== 'auth_servers');
  if (unused.length > 0)
    logger('process').warn(
      `settings that are not used, because this process has the auth role itself: ${unused.join(', ')}`,
    );
}

/** @param leftMs how long to wait for the store. */
async function buildAuth(parts: Parts, closers: Closers, leftMs: number): Promise<AuthService> {
  const { configuration, world, logger, metrics, listeners, hostId } = parts;
  const sink = logger('auth');
  const storage = openedWithin(configuration.storage, leftMs);
  let told = '';
  const env = {
    sink,
    world,
    waitsFor: (text: string) => {
      if (text !== told) sink.warn(`auth cannot start yet: ${text}. Retrying`);
      told = text;
      parts.waitsFor('auth', text);
    },
  };
  await requireFittingStore({ ...configuration, storage }, env);
  const driver = await openBackend(storage, env);
  let keyring;
  let archive;
  try {
    keyring = await openLogKeyring(configuration, { store: driver, world, sink });
    archive = await openArchiveOf(configuration.file.auth_service);
  } catch (e) {
    await driver.close();
    throw e;
  }
  const store = placeOf(configuration.storage);
  const recordings = await openRecordings(configuration);
  if (keepsRecordingsApart(configuration))
    sink.warn(
      'recordings of sessions that this auth server takes are on its own disk, and other auth servers cannot play them: set auth_service.audit_sessions_uri on each',
      { place: recordings.place },
    );
  closers.add(() => recordings.close());
  const known = readKnownPlaces(configuration.dataDir, store);
  const log = await openLog({ driver, keyring, world, writer: hostId, sink, known, archive });
  closers.add(() => log.close());
  refuseStoreThatWentBack(log);
  await requireArchive(log);
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
  const advertised = advertisedHost(configuration.advertiseIp, configuration.listen.auth.host);
  return createAuthService({
    log,
    world,
    sink,
    metrics,
    listeners,
    otherClusters: reachedByWays(world, sink, process.env),
    witnesses,
    recordings,
    config: {
      hostId,
      nodename: configuration.nodename,
      clusterName: configuration.clusterName,
      nameIsDefault: configuration.file.auth_service.cluster_name === undefined,
      listenAddress: configuration.listen.auth,
      advertised,
      publicAddresses: [advertised(), ...configuration.file.auth_service.public_addr.map((a) => a.host)],
      secondFactor: configuration.file.auth_service.authentication.second_factor,
      settings: {
        'auth_service.authentication.type': configuration.file.auth_service.authentication.type,
        [renewalKey]: renewalSetting(configuration.file.auth_service.renewal),
        [recordingKey]: configuration.file.auth_service.session_recording,
        ...settingsOfLimits({
          clientIdleTimeoutSeconds: configuration.file.auth_service.client_idle_timeout / second,
          disconnectExpiredCert: configuration.file.auth_service.disconnect_expired_cert,
          keepAliveMs: configuration.file.auth_service.keep_alive_interval,
          keepAliveCountMax: configuration.file.auth_service.keep_alive_count_max,
        }),
        [strategyKey]: strategyText(configuration.file.auth_service.tunnel_strategy),
      },
      reservedNames: [
        ...configuration.file.auth_service.public_addr,
        ...configuration.file.proxy_service.public_addr,
        ...configuration.file.proxy_service.ssh_public_addr,
      ].map((a) => a.host),
      staticTokens: readTokenLines(configuration.file.auth_service.tokens),
      ...(configuration.bootstrap !== undefined && {
        bootstrap: bootstrapFrom(configuration.bootstrap),
      }),
      servedBy: () => servingOf(configuration.file.teleport.auth_servers ?? [], world),
      maxLogLagMs: configuration.file.auth_service.max_log_lag,
      hostCertificateTtlMs: configuration.file.auth_service.host_certificate_ttl,
      forgetHostsAfterMs: configuration.file.auth_service.forget_hosts_after,
      quotas: configuration.file.auth_service.quotas,
    },
  });
}

/** Writes the identity with which `tctl` on this machine authenticates. */
function adminIdentityService(
  { configuration, hostId, world, logger }: Parts,
  auth: () => AuthService,
): Service {
  return {
    name: 'admin',
    start: async () => {
      const { nodename, dataDir } = configuration;
      const names = { nodename, additionalPrincipals: [] };
      const certify = (): Promise<HostIdentity> =>
        auth().issueHostIdentity({ hostId, role: 'Admin', ...names });
      const first = { ...(await certify()), askedNames: [nodename] };
      saveShown(dataDir, { client: first, server: first });
      const identity = replaceableIdentity(first);
      const authority = hostAuthorityOf(auth().authorities());
      const renewal = keepRenewed({
        ...{ identity, dataDir, names, authority, certify, world, sink: logger('admin'), pause },
        spreadMs: () => 0,
      });
      let finish: () => void = () => undefined;
      const done = new Promise<void>((resolve) => {
        finish = resolve;
      });
      return {
        done,
        condition: () => conditionOf({ lacks: [renewal.trouble()] }),
        stop: () => {
          renewal.close();
          finish();
          return Promise.resolve();
        },
      };
    },
  };
}
