import { type Duplex, duplexPair } from 'node:stream';
import { type LiveTail, openTail } from '../api/live-tail.ts';
import { listenerOf, serveOperations } from '../api/serve-operations.ts';
import { endingOnce } from '../base/ending.ts';
import { CodedError, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { type HostPort, type Listeners, type Metrics, type Running, type Service } from '../base/service.ts';
import { second } from '../base/time.ts';
import type { World } from '../base/world.ts';
import type { SecondFactor } from '../domain/cluster.ts';
import type { Settings } from '../domain/config-facts.ts';
import type { ClusterLog } from '../log/event-log.ts';
import { logTrouble } from '../log/log-trouble.ts';
import type { Partition } from '../log/event.ts';
import type { Witnesses } from '../log/signed-head-witness.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import { trustedOf } from '../views/authorities.ts';
import { oddHosts } from '../views/hosts.ts';
import { userStandingOf } from '../views/user-life.ts';
import { announceSelf, keepAnnounced } from './announce-self.ts';
import { buildDeps, ownPresence } from './build-deps.ts';
import { type CallerFacts, identifyCallers } from './callers.ts';
import { startCompaction } from './compaction.ts';
import { destroySuperseded } from './destroy-superseded.ts';
import type { AuthDeps } from './deps.ts';
import { implementations } from './implementations.ts';
import { type HostIdentityRequest, issueHostIdentity } from './issue-host-identity.ts';
import { callerLimits } from './caller-limits.ts';
import { logPolicy } from './log-policy.ts';
import { clusterOf } from './lookups.ts';
import type { QuotaSettings } from './quota-rules.ts';
import type { StaticToken } from './static-tokens.ts';
import { closeServer, secureContextOf, type TlsContext, tlsServer } from './tls-server.ts';

export interface AuthConfig {
  readonly hostId: string;
  readonly nodename: string;
  readonly clusterName: string;
  /** The file gives no cluster_name. Default: it does. */
  readonly nameIsDefault?: boolean;
  readonly listenAddress: HostPort;
  /** Names and addresses by which others reach this server; they stand in its certificate. */
  readonly publicAddresses: readonly string[];
  readonly secondFactor: SecondFactor;
  /** Further settings of the file that all auth servers share, by their name in it. */
  readonly settings?: Settings;
  /** Join tokens of the file. */
  readonly staticTokens?: readonly StaticToken[];
  /** Names and addresses of the file by which people know the cluster: no node that joins is called so. Default: none. */
  readonly reservedNames?: readonly string[];
  /** Which of the auth servers that the file names serves a cluster; asked only before one is made. Default: none. */
  readonly servedBy?: () => Promise<string | undefined>;
  /** Further behind the store than this, it issues no certificates. Default 5,000. */
  readonly maxLogLagMs?: number;
  /** What one caller may take in a time. Default: `usualQuotas`. */
  readonly quotas?: QuotaSettings;
}

export interface AuthServiceDeps {
  readonly log: ClusterLog;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  readonly listeners: Listeners;
  /** Where signed heads go beside the log. Default: nowhere. */
  readonly witnesses?: Witnesses;
  /** As in `AuthParts`; for tests. */
  readonly ageing?: () => number;
  readonly config: AuthConfig;
}

export interface AuthService extends Service {
  /**
   * Certifies a role of this machine. Only after `start`.
   * @throws CodedError `unavailable` before, `bad_request` for an id that is no UUID.
   */
  issueHostIdentity(request: HostIdentityRequest): Promise<HostIdentity>;
  /** Where it listens. @throws CodedError `unavailable` before `start`. */
  listenAddress(): HostPort;
  /**
   * A connection to this very server, as if it had come in over TCP: the address it listens on may be that of an older
   * or a newer process as well. @throws CodedError `unavailable` before `start` and once it is ending.
   */
  connectWithin(): Duplex;
}

interface Started {
  readonly deps: AuthDeps;
  readonly address: HostPort;
  readonly connectWithin: () => Duplex;
}

/** A followed log brings a line at least so often; readers give up after 7 s. */
const keepAliveMs = 2 * second;

/**
 * Who is further behind its store sends its followers elsewhere. Well above what it may be behind when it decides: a moment
 * in which everything is slow must not make thousands dial again.
 */
const longestServedLagMs = 30 * second;

/** The only writer of the log: decides, signs, serves the others. The log is its owner's to close. */
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
    listenAddress: () => ready().address,
    connectWithin: () => ready().connectWithin(),
  };
}

async function start(service: AuthServiceDeps): Promise<Started & { readonly running: Running }> {
  const { log, world, sink, metrics, listeners, config } = service;
  const { deps, close } = await buildDeps({ ...service, ...config });
  const stopping = new AbortController();
  const tailOf = (partition: Partition): Promise<LiveTail> =>
    openTail(log[partition], {
      visible: (who, event) => logPolicy.visible(who, partition, event),
      sink,
    });
  const [state, presence, audit] = await Promise.all([tailOf('state'), tailOf('presence'), tailOf('audit')]);
  const closeAll = async (): Promise<void> => {
    for (const tail of [state, presence, audit]) tail.close();
    await close();
  };
  try {
    const app = serveOperations(
      implementations(deps),
      {
        log,
        tails: { state, presence, audit },
        policy: logPolicy,
        views: (partition) => (partition === 'audit' ? [] : deps.views.stored(partition)),
        keepAliveMs,
        trouble: () => (deps.lag.lagMs() > longestServedLagMs ? deps.lag.trouble() : undefined),
        stopping: stopping.signal,
      },
      {
        callerOf: identifyCallers(callerFacts(deps)),
        limits: callerLimits(deps.quotas),
        ...{ world, sink, metrics },
      },
    );
    const server = tlsServer(await tlsContext(deps, config), listenerOf(app));
    server.on('secureConnection', (socket) => {
      if (socket.authorized) listeners.strangers.recognised(socket);
    });
    const address = await listeners.listen('auth', server, config.listenAddress);
    await announceSelf(deps, config, address);
    tellOddHosts(deps);
    const renewing = setInterval(() => {
      keepAnnounced(deps, config, address).catch((e: unknown) => {
        sink.error('this auth server could not be announced', { reason: String(e) });
      });
    }, ownPresence.everyMs);
    renewing.unref();
    const trust = deps.views.authorities.changes.subscribe({
      next: () => {
        tlsContext(deps, config).then(
          (context) => {
            server.setSecureContext(secureContextOf(context));
          },
          (e: unknown) => {
            sink.error('the certificate of the auth server could not be renewed', { reason: String(e) });
          },
        );
      },
      // `views.broken` ends the service.
      error: () => undefined,
    });
    await deps.heads.start();
    const secrets = destroySuperseded(deps);
    void secrets.run();
    const compaction = startCompaction({
      log: deps.log,
      views: deps.views,
      world,
      sink,
      metrics,
      hostId: config.hostId,
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
      trouble: () =>
        logTrouble(log) ??
        deps.clocks.trouble() ??
        standingStill(deps) ??
        deps.lag.trouble() ??
        compaction.trouble() ??
        deps.heads.trouble() ??
        secrets.trouble(),
      notice: () => deps.clocks.notice(),
      stop: endingOnce(async (grace) => {
        stopping.abort();
        clearInterval(renewing);
        trust.unsubscribe();
        // Idle connections to a server whose log has moved are worth nothing: who asks next shall ask the successor.
        await closeServer(server, isFenced(log) ? { ...grace, given: false } : grace);
        await compaction.close();
        await secrets.close();
        if (grace.succession === 'none') deps.presence.renew({ hostId: config.hostId, role: 'Auth' }, 0);
        await closeAll();
        finish();
      }),
    };
    const connectWithin = (): Duplex => {
      if (stopping.signal.aborted)
        throw new CodedError('unavailable', 'the auth service of this process has ended');
      const [near, far] = duplexPair();
      // The two know of each other's ends, but not when one is destroyed, in the middle of a handshake say.
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

function standingStill({ views }: AuthDeps): string | undefined {
  const failure = views.failure();
  return failure && `what this auth server knows of the cluster stands still: ${messageOf(failure)}`;
}

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

/** A certificate of the active host authority, and all authorities whose certificates may come in. */
async function tlsContext(deps: AuthDeps, config: AuthConfig): Promise<TlsContext> {
  const { hostId, nodename, publicAddresses } = config;
  const identity = await issueHostIdentity(deps, {
    hostId,
    nodename,
    role: 'Auth',
    additionalPrincipals: [nodename, ...publicAddresses],
  });
  const { user, host } = authoritiesOf(deps);
  return { key: identity.privateKeyPem, cert: identity.tlsCertificatePem, ca: [...host, ...user] };
}

/** Once per start: nothing of the kind comes in any more. */
function tellOddHosts({ views, sink }: AuthDeps): void {
  for (const odd of oddHosts(views.hosts.state()))
    sink.warn(
      'a host is shown without what a release before stored of it: that breaks lines, or hides what it is',
      {
        ...odd,
        leftOut: odd.leftOut.join(', '),
        advice: 'start that machine with proper names, addresses and labels, or remove it',
      },
    );
}

function authoritiesOf({ views }: AuthDeps): { user: readonly string[]; host: readonly string[] } {
  const state = views.authorities.state();
  return {
    user: trustedOf(state, 'user').map((key) => key.tlsCertificatePem),
    host: trustedOf(state, 'host').map((key) => key.tlsCertificatePem),
  };
}

const callerFacts = (deps: AuthDeps): CallerFacts => ({
  now: () => deps.world.now(),
  clusterName: () => clusterOf(deps.views).clusterName,
  authorities: () => authoritiesOf(deps),
  activeUser: (presented) => {
    const standing = userStandingOf(deps.views.users.state(), presented);
    return standing.status === 'present' ? { roles: standing.user.state.roles } : undefined;
  },
});
