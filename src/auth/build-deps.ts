import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { memoryObjects } from '../base/memory-objects.ts';
import type { ObjectStore } from '../base/object-store.ts';
import type { Metrics } from '../base/service.ts';
import { second } from '../base/time.ts';
import { type OtherClusters, otherClusters } from '../api/trust-client.ts';
import type { World } from '../base/world.ts';
import type { ClusterLog } from '../log/event-log.ts';
import { noWitnesses, type Witnesses } from '../log/signed-head-witness.ts';
import { afterwards } from './afterwards.ts';
import { auditWriter } from './audit/audit-writer.ts';
import { tellAttempts } from './audit/tell-attempts.ts';
import { startDecisionsAt } from '../log/starting-points.ts';
import { startsIn } from '../views/decided.ts';
import { attemptsStart } from '../views/login-attempts.ts';
import { reportingUnreadable } from '../views/unreadable.ts';
import { authDefaults, type AuthSettings } from './auth-settings.ts';
import { type AuthViews, openAuthViews } from './auth-views.ts';
import { type ClockWatch, watchClocks } from './clocks.ts';
import type { AuthDeps } from './deps.ts';
import { declareConfiguration, tellDrift } from './file-configuration.ts';
import { type FoldLag, freshWithin, watchFoldLag } from './log/fold-lag.ts';
import { foundCluster } from './first-start.ts';
import { guardedLog } from './log/guarded-log.ts';
import { hostAges } from './host/host-ages.ts';
import { openGates } from './user/open-gates.ts';
import { PastFolds } from './past/past-folds.ts';
import { ownAudit } from './audit/own-audit.ts';
import { flushIfRoom, presenceWriter } from './host/presence-writer.ts';
import { usualQuotas } from './limits/quota-rules.ts';
import { seesPresence } from './host/machine-request.ts';
import { renewalTurns } from './host/renewal-turns.ts';
import { openQuotas } from './limits/quotas.ts';
import { RecordingStore } from '../recording/recording-store.ts';
import { SessionKeys } from './recording/session-keys.ts';
import { sharedLook } from './shared-look.ts';
import { tellReading } from './log/reading-progress.ts';
import { signingHeads } from './log/sign-heads.ts';
import { keyChest } from './secrets/signing-keys.ts';
import { storeOutlook } from './log/store-outlook.ts';
import { silenceFor, type StoreContact, watchStoreContact } from './log/store-contact.ts';
import { readStaticTokens } from './token/static-tokens.ts';
import { ownCause } from './own-cause.ts';

/** What an auth server is made of. */
export interface AuthParts extends AuthSettings {
  readonly log: ClusterLog;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  /** Where signed heads go beside the log; closed by whoever made them. Default: nowhere. */
  readonly witnesses?: Witnesses;
  /** Where recordings are kept; closed by whoever made it. Default: in memory, for tests. */
  readonly recordings?: ObjectStore;
  /** How other clusters are asked. Default: over TLS. */
  readonly otherClusters?: OtherClusters;
  /** Called when followers should go to another auth server, because the store does not reply. */
  readonly onFarewell?: () => void;
  /** Milliseconds of a monotonic clock; for tests. */
  readonly monotonic?: () => number;
  /** The same, for things that expire: hosts, locks, tokens. */
  readonly ageing?: () => number;
}

/** How many times it checks the store within the time after which the store counts as silent. */
const looksInSilence = 4;

/** How often an auth server announces that it is alive. */
export const ownPresence = { everyMs: 20 * second, ttlSeconds: 60 };

/** The shortest time between two reads of the store for unknown links. */
const looksForLinksMs = 200;

/** Heartbeats within this time become one fact. */
const presenceIntervalMs = 3 * second;
/**
 * The shortest time between two facts about hosts that were not known to be alive, however many come at once.
 */
const newHostsEveryMs = 200;

/** How far behind its store this server is, and whether the store replies at all. */
function watchStore(
  views: AuthViews,
  { log, sink, metrics, storeSilenceMs, onFarewell = () => undefined }: AuthParts,
  { limitMs, monotonic }: { readonly limitMs: number; readonly monotonic: () => number },
): { readonly lag: FoldLag; readonly contact: StoreContact } {
  const silenceMs = storeSilenceMs ?? silenceFor(limitMs, log.store().type === 'dir' ? 'machine' : 'network');
  const everyMs = silenceMs / looksInSilence;
  const lag = watchFoldLag({ views, sink, metrics, limitMs, everyMs, monotonic });
  return { lag, contact: watchStoreContact({ lag, sink, silenceMs, monotonic, onFarewell }) };
}

function explainImport(e: unknown): never {
  if (!isCoded(e, 'not_found')) throw e;
  throw new CodedError(
    'misconfigured',
    `the cluster cannot sign: ${e.message}, or was not in the archive that was imported: import one that was made with ` +
      '"tctl log export --with-secrets" into an empty store',
    { cause: e },
  );
}

/**
 * The cluster as it is on the log, ready for use cases; it is created when there is none. The caller closes
 * it.
 */
export async function buildDeps(
  parts: AuthParts,
): Promise<{ readonly deps: AuthDeps; readonly close: () => Promise<void> }> {
  const { world, sink, metrics, hostId, clusterName, secondFactor } = parts;
  let clocks: ClockWatch | undefined;
  const log = guardedLog(parts.log, () => clocks?.require());
  const cause = ownCause({ world, hostId });
  const { type, place } = log.store();
  const founded = await foundCluster({
    place: `${type} ${place}`,
    state: log.state,
    world,
    sink,
    clusterName,
    nameIsDefault: parts.nameIsDefault ?? false,
    secondFactor,
    cause,
    ...{ settings: parts.settings, bootstrap: parts.bootstrap, servedBy: parts.servedBy },
  });
  const monotonic = parts.monotonic ?? (() => performance.now());
  const clock = { now: () => world.now(), monotonic: parts.ageing ?? monotonic };
  let isFresh = (): boolean => false;
  const folds = await openAuthViews(log, clock, () => isFresh());
  const presence = presenceWriter({
    log: log.presence,
    world,
    sink,
    hostId,
    intervalMs: presenceIntervalMs,
    soonMs: newHostsEveryMs,
    monotonic,
    ageing: clock.monotonic,
  });
  const { maxLogLagMs: limitMs, hostCertificateTtlMs, forgetHostsAfterMs } = { ...authDefaults, ...parts };
  const views = reportingUnreadable(freshWithin(folds, limitMs), sink);
  const closers: (() => Promise<void> | void)[] = [
    () => {
      views.close();
    },
    () => presence.close(),
  ];
  const close = async (): Promise<void> => {
    for (const one of closers.reverse()) await one();
  };
  try {
    const endTelling = tellReading(folds.all, founded, sink);
    await views.reached(founded).finally(endTelling);
    await views.presence.reached(await log.presence.head());
    const keys = keyChest(log.state, views);
    // Checked before anything is served: a keyring that does not open the authorities belongs to another
    // cluster.
    await Promise.all([keys.signer('user'), keys.signer('host')]).catch(explainImport);
    presence.renew({ hostId, role: 'Auth' }, ownPresence.ttlSeconds);
    await flushIfRoom(presence, sink);
    await folds.freshAttempts();
    startDecisionsAt(log.state, startsIn(folds));
    startDecisionsAt(log.attempts, attemptsStart(folds.attempts));
    folds.decided.changes.subscribe({
      error: (e: unknown) => {
        sink.warn('decisions read all that ever happened to a user or host: its fold has ended', {
          reason: messageOf(e),
        });
      },
    });
    const configuring = { log, world, sink, views: folds };
    const file = { hostId, nodename: parts.nodename, secondFactor, settings: parts.settings ?? {} };
    await declareConfiguration(configuring, file, cause);
    const drift = tellDrift({ ...configuring, views });
    const audit = auditWriter(log.audit, hostId, { hasArchive: log.archive !== undefined });
    const own = ownAudit({ writer: audit, state: log.state, world, hostId });
    const attemptsTeller = tellAttempts({ log, world, sink, hostId });
    const gates = openGates(own, world, hostId, sink);
    const quotas = openQuotas({
      settings: parts.quotas ?? usualQuotas,
      audit: own,
      ...{ world, sink, metrics, hostId },
    });
    const staticTokens = readStaticTokens(parts.staticTokens ?? [], sink);
    const following = afterwards();
    const { lag, contact } = watchStore(folds, parts, { limitMs, monotonic });
    clocks = watchClocks({ views, lag, sink, metrics, hostId });
    const clockWatch = clocks;
    isFresh = () => lag.trouble() === undefined;
    const witnesses = parts.witnesses ?? noWitnesses;
    const heads = signingHeads({ log, world, sink, metrics, hostId, witnesses });
    closers.push(
      () => attemptsTeller.close(),
      () => gates.close(),
      () => quotas.close(),
      () => {
        drift.close();
        contact.close();
        lag.close();
        clockWatch.close();
      },
      () => heads.close(),
      () => following.done(),
    );
    return {
      deps: {
        log,
        world,
        sink,
        metrics,
        hostId,
        views,
        keys,
        lag,
        contact,
        clocks,
        afterwards: following,
        audit,
        ownAudit: own,
        attemptsTeller,
        recordings: {
          store: new RecordingStore(parts.recordings ?? memoryObjects()),
          keys: new SessionKeys(log),
        },
        gate: gates.gate,
        joins: gates.joins,
        renewals: renewalTurns({
          look: async () => (await Promise.all([views.fresh(), seesPresence({ views, log })]))[0],
          calm: (mostMs) => gates.gate.calm(mostMs),
          monotonic,
        }),
        quotas,
        past: new PastFolds({ log: log.state }),
        hostAges: hostAges(log.state),
        badLinks: gates.badLinks,
        lookForLinks: sharedLook(() => views.fresh(), looksForLinksMs, monotonic),
        staticTokens,
        reservedNames: parts.reservedNames ?? [],
        hostCertificateTtlMs,
        forgetHostsAfterMs,
        outlook: storeOutlook(log, monotonic),
        presence,
        heads,
        witnesses,
        otherClusters: parts.otherClusters ?? otherClusters(world),
      },
      close,
    };
  } catch (e) {
    await close();
    throw e;
  }
}
