import { type Duplex, duplexPair } from 'node:stream';
import { type LiveTail, openTail } from '../api/live-tail.ts';
import { listenerOf, serveOperations } from '../api/serve-operations.ts';
import { endingOnce } from '../base/ending.ts';
import { CodedError } from '../base/errors.ts';
import type { ObjectStore } from '../base/object-store.ts';
import type { LogSink } from '../base/log-sink.ts';
import type { OtherClusters } from '../api/trust-client.ts';
import { type HostPort, type Listeners, type Metrics, type Running, type Service } from '../base/service.ts';
import { second } from '../base/time.ts';
import { startTicker, stopTimer } from '../base/timers.ts';
import type { World } from '../base/world.ts';
import { builtInRole } from '../domain/role-options.ts';
import type { ClusterLog } from '../log/event-log.ts';
import type { Partition } from '../log/event.ts';
import type { Witnesses } from '../log/signed-head-witness.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import type { AuthoritiesState } from '../views/authorities.ts';
import type { View } from '../views/view.ts';
import { oddHosts } from '../views/hosts.ts';
import { isToAdminister } from '../views/identities.ts';
import { heldRequests, holdingStatesOf } from '../views/held-requests.ts';
import type { ClusterKey } from '../domain/cluster-keys.ts';
import { followRoots } from './trust/follow-roots.ts';
import { foreignPerson } from '../views/foreign-person.ts';
import { clusterOfKey, keysOfTrusted } from '../views/trusted-clusters.ts';
import { userStandingOf } from '../views/user-life.ts';
import { indexAudit } from './audit/index-audit.ts';
import { announceAdopted, announceSelf, keepAnnounced } from './host/announce-self.ts';
import { forgetAbsent } from './host/forget-absent.ts';
import { recordAttemptsApart } from './user/attempts-apart.ts';
import { automaticRotation } from './authority/automatic-rotation.ts';
import { measureRotations } from './authority/rotation-metrics.ts';
import { authCondition } from './auth-condition.ts';
import type { AuthSettings } from './auth-settings.ts';
import { beforeTls } from './before-tls.ts';
import { buildDeps, ownPresence } from './build-deps.ts';
import { type CallerFacts, identifyCallers } from './callers.ts';
import { startCompaction } from './log/compaction.ts';
import { destroySuperseded } from './secrets/destroy-superseded.ts';
import type { AuthDeps } from './deps.ts';
import { implementations } from './implementations.ts';
import { type HostIdentityRequest, issueHostIdentity } from './host/issue-host-identity.ts';
import { callerLimits } from './limits/caller-limits.ts';
import { logPolicy } from './log/log-policy.ts';
import { lockedBy } from './lock/in-force.ts';
import { clusterOf } from './lookups.ts';
import { noRoomOn } from './log/no-room.ts';
import { authoritiesOf, ownCertificate } from './own-certificate.ts';
import { rulesOf } from './rules-of.ts';
import { closeServer, tlsServer } from './tls-server.ts';
import { withdrawnIn } from './withdrawn-keys.ts';

export interface AuthConfig extends AuthSettings {
  readonly listenAddress: HostPort;
  /** Names and addresses by which others reach this server; its certificate contains them. */
  readonly publicAddresses: readonly string[];
  /** The address that it announces; asked each time. Default: the first of them. */
  readonly advertised?: () => string;
}

export interface AuthServiceDeps {
  readonly log: ClusterLog;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  readonly listeners: Listeners;
  /** Where signed heads go beside the log. Default: nowhere. */
  readonly witnesses?: Witnesses;
  /** Where recordings are kept; closed by whoever made it. Default: in memory, for tests. */
  readonly recordings?: ObjectStore;
  /** How other clusters are asked. Default: over TLS. */
  readonly otherClusters?: OtherClusters;
  /** As in `AuthParts`; for tests. */
  readonly ageing?: () => number;
  readonly config: AuthConfig;
}

export interface AuthService extends Service {
  /**
   * Certifies a role of this machine. Only after `start`.
   * @throws CodedError `unavailable` before, `bad_request` for an id that is not a UUID.
   */
  issueHostIdentity(request: HostIdentityRequest): Promise<HostIdentity>;
  /** The authorities of the cluster. @throws CodedError `unavailable` before `start`. */
  authorities(): View<AuthoritiesState>;
  /** Where it listens. @throws CodedError `unavailable` before `start`. */
  listenAddress(): HostPort;
  /**
   * A connection to this very server, as if it had arrived over TCP: an older or a newer process may listen
   * on the same address. @throws CodedError `unavailable` before `start` and once it is ending.
   */
  connectWithin(): Duplex;
}

interface Started {
  readonly deps: AuthDeps;
  readonly address: HostPort;
  readonly connectWithin: () => Duplex;
}

/** A followed log sends something at least this often; readers give up after three times that. */
const keepAliveMs = 0.7 * second;

/** The only writer of the log: decides, signs, serves the others. The owner of the log closes it. */
export function createAuthService(service: AuthServiceDeps): AuthService {
  let started: Started | undefined;
  const ready = (): Started => {
    if (!started) throw new CodedError('unavailable', 'the auth service has not started');
    return started;
  };
  return {
    name: 'auth',
    start: async () => {
      const { running, ...rest } = await start(service);
      started = rest;
      return running;
    },
    issueHostIdentity: async (request) => issueHostIdentity(ready().deps, request),
    authorities: () => ready().deps.views.authorities,
    listenAddress: () => ready().address,
    connectWithin: () => ready().connectWithin(),
  };
}

async function start(service: AuthServiceDeps): Promise<Started & { readonly running: Running }> {
  const { log, world, sink, metrics, listeners, config } = service;
  const tails: LiveTail[] = [];
  const onFarewell = (): void => {
    for (const tail of tails) tail.wake();
  };
  const { deps, close } = await buildDeps({ ...service, ...config, onFarewell });
  const stopping = new AbortController();
  const tailOf = (partition: Partition): Promise<LiveTail> =>
    openTail(log[partition], {
      visible: (who, event) => logPolicy.visible(who, partition, event),
      sink,
    });
  const [state, attempts, presence, audit] = await Promise.all([
    tailOf('state'),
    tailOf('attempts'),
    tailOf('presence'),
    tailOf('audit'),
  ]);
  tails.push(state, attempts, presence, audit);
  const closeAll = async (): Promise<void> => {
    for (const tail of tails) tail.close();
    await close();
  };
  try {
    const app = serveOperations(
      implementations(deps),
      {
        log,
        tails: { state, attempts, presence, audit },
        policy: logPolicy,
        views: (partition) => (partition === 'audit' ? [] : deps.views.stored(partition)),
        keepAliveMs,
        ageMs: () => deps.contact.ageMs(),
        trouble: () => deps.contact.farewell(),
        stopping: stopping.signal,
      },
      {
        callerOf: identifyCallers(callerFacts(deps)),
        rulesOf: rulesOf(deps),
        limits: callerLimits(deps.quotas),
        serving: deps.contact,
        noRoom: noRoomOn(config.nodename, sink),
        ...{ world, sink, metrics },
      },
    );
    const certificate = await ownCertificate(deps, config);
    const server = tlsServer(certificate.context, listenerOf(app));
    server.on('secureConnection', (socket) => {
      if (socket.authorized) listeners.strangers.recognised(socket);
    });
    const cutWaiting = beforeTls(server, deps, config.clusterName, service);
    const self = { ...config, adopted: () => certificate.adopted() };
    const address = await listeners.listen('auth', server, config.listenAddress);
    let said = await announceSelf(deps, self, address);
    tellOddHosts(deps);
    const renewing = startTicker(() => {
      keepAnnounced(deps, self, { address, said }).then(
        (now) => {
          said = now;
        },
        (e: unknown) => {
          sink.error('this auth server could not be announced', { reason: String(e) });
        },
      );
    }, ownPresence.everyMs);
    renewing.unref();
    const trust = certificate.keep(server, () => {
      announceAdopted(deps, self);
    });
    await deps.heads.start();
    const rotation = automaticRotation(deps);
    const roots = followRoots(deps);
    const measuring = measureRotations(deps);
    const secrets = destroySuperseded(deps);
    void secrets.run();
    const forgetting = forgetAbsent(deps);
    const apart = recordAttemptsApart(deps);
    deps.attemptsTeller.soon();
    const indexing = indexAudit(deps);
    const compaction = startCompaction({
      log: deps.log,
      views: deps.views,
      world,
      sink,
      metrics,
      hostId: config.hostId,
      tellAttempts: () => deps.attemptsTeller.tellBeforeTrim(),
    });
    let finish: () => void = () => undefined;
    const stopped = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const done = Promise.race([stopped, deps.views.broken]);
    done.catch(() => undefined);
    const running: Running = {
      done,
      diagnostics: () => reportOf(deps, log),
      condition: () =>
        authCondition({
          ...{ ...deps, log, compaction, secrets, forgetting, apart, indexing, rotation },
          telling: deps.attemptsTeller.upkeep,
        }),
      stop: endingOnce(async (grace) => {
        stopping.abort();
        stopTimer(renewing);
        trust.stop();
        // Idle connections to a server whose log has moved are useless: the next call should go to the
        // successor.
        void grace.over.then(cutWaiting);
        await closeServer(server, isFenced(log) ? { ...grace, given: false } : grace);
        await compaction.close();
        await secrets.close();
        await forgetting.close();
        await apart.close();
        await indexing.close();
        await rotation.close();
        await roots.close();
        await measuring.close();
        if (grace.succession === 'none') deps.presence.renew({ hostId: config.hostId, role: 'Auth' }, 0);
        await closeAll();
        finish();
      }),
    };
    const connectWithin = (): Duplex => {
      if (stopping.signal.aborted)
        throw new CodedError('unavailable', 'the auth service of this process has ended');
      const [near, far] = duplexPair();
      // Each closes when the other ends, but not when the other is destroyed, during a handshake say.
      near.once('close', () => far.destroy());
      far.once('close', () => {
        if (!far.writableFinished) near.destroy();
      });
      server.emit('connection', far);
      return near;
    };
    return { deps, address, running, connectWithin };
  } catch (e) {
    await closeAll();
    throw e;
  }
}

const isFenced = (log: ClusterLog): boolean =>
  Object.values(log.stats()).some(({ fence }) => fence !== undefined);

/** Heads and lags of the log, and which keys are trusted. */
function reportOf(deps: AuthDeps, log: ClusterLog): Record<string, unknown> {
  const report: Record<string, unknown> = { store: log.store().place };
  for (const [partition, stats] of Object.entries(log.stats())) {
    const { position, slot, lag, waitingAppends, followers, eventsSinceSnapshot } = stats;
    report[partition] = { position, slot, lag, waitingAppends, followers, eventsSinceSnapshot };
  }
  const { user, host } = authoritiesOf(deps);
  return { ...report, trustedAuthorities: { user: user.length, host: host.length } };
}

/** Once per start, since such hosts cannot join any more. */
function tellOddHosts({ views, sink }: AuthDeps): void {
  for (const odd of oddHosts(views.hosts.state()))
    sink.warn(
      'a host is shown without a text that an earlier release stored of it: the text breaks lines, or hides what it is',
      {
        ...odd,
        leftOut: odd.leftOut.join(', '),
        advice: 'start that machine with proper names, addresses and labels, or remove it',
      },
    );
}

const callerFacts = (deps: AuthDeps): CallerFacts => ({
  now: () => deps.world.now(),
  clusterName: () => clusterOf(deps.views).clusterName,
  authorities: () => authoritiesOf(deps),
  foreignAuthorities: () =>
    keysOfTrusted(deps.views.trustedClusters.state(), 'user').map(
      ({ tlsCertificatePem }) => tlsCertificatePem,
    ),
  foreignUser: (issuerPem, presented) => {
    const clusters = deps.views.trustedClusters.state();
    const isKey = ({ tlsCertificatePem }: ClusterKey): boolean => tlsCertificatePem === issuerPem;
    const cluster = clusterOfKey(clusters, isKey, 'at_login');
    const person = cluster && foreignPerson(cluster, presented);
    if (person?.status !== 'mapped') return undefined;
    const { username, roleNames: roles, traits } = person;
    return { username, roles, traits };
  },
  withdrawn: () => withdrawnIn(deps.views.authorities.state()),
  activeUser: (presented) => {
    const standing = userStandingOf(deps.views.users.state(), presented);
    if (standing.status !== 'present') return undefined;
    const { roles } = standing.user.state;
    const signed = { ...presented, lifeId: standing.user.life.id };
    const administers = roles.includes(builtInRole) && isToAdminister(deps.views.identities.state(), signed);
    const held = heldRequests(holdingStatesOf(deps.views), signed, deps.world.now());
    const added = held.flatMap(({ entry }) => entry.roles).filter((role) => !roles.includes(role));
    return { roles: [...roles, ...new Set(added)], administers };
  },
  lockedBy: (subject) => lockedBy(deps, subject),
});
