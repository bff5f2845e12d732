import type { LogSink } from '../base/log-sink.ts';
import type { World } from '../base/world.ts';
import { cluster, type SecondFactor, secondFactor } from '../domain/cluster.ts';
import { configuration, driftOf, type Drift, type Settings } from '../domain/config-facts.ts';
import { recording, recordingKey, recordingModeOf } from '../domain/recording.ts';
import { clusterStream, configurationStream, recordingStream } from '../domain/streams.ts';
import type { ClusterLog } from '../log/event-log.ts';
import type { Cause } from '../log/event.ts';
import { execute } from '../log/execute.ts';
import { newBoxKeys } from '../pki/sealed-box.ts';
import { presenceOf } from '../views/presence.ts';
import type { AuthViews } from './auth-views.ts';
import { clusterOf } from './lookups.ts';

export interface FileConfiguration {
  readonly hostId: string;
  readonly nodename: string;
  readonly secondFactor: SecondFactor;
  /** Further settings that all auth servers share, by their name in the file. */
  readonly settings: Settings;
}

export interface ConfigurationDeps {
  readonly log: ClusterLog;
  readonly world: World;
  readonly sink: LogSink;
  readonly views: AuthViews;
}

const secondFactorKey = 'auth_service.authentication.second_factor';

/**
 * Records the settings in the file of this auth server, where they are new, and applies the values that
 * result. This server must be present on the log before that: of two that start at once, each must see the
 * other or come after it.
 */
export async function declareConfiguration(
  deps: ConfigurationDeps,
  { hostId, nodename, ...file }: FileConfiguration,
  cause: Cause,
): Promise<void> {
  const { log, views, sink } = deps;
  const settings = { ...file.settings, [secondFactorKey]: file.secondFactor };
  const declare = async (alive: readonly string[]): Promise<Settings> => {
    const command = { type: 'declare-configuration', hostId, nodename, settings, alive } as const;
    const { facts, state } = await execute(log.state, configuration, configurationStream, command, cause);
    for (const fact of facts)
      if (fact.type === 'configuration.adopted')
        sink.info('these settings hold in the cluster from now on', { ...fact.data.settings });
    return state.standing;
  };
  await views.fresh();
  // First only values that no server disputes, alive or not. Once this declaration is on the log, the servers
  // that are alive decide.
  await declare(Object.keys(views.configuration.state().declared));
  await views.fresh();
  await views.presence.reached(await log.presence.head());
  const standing = await declare(aliveOf(deps));
  await applyStanding(deps, standing[secondFactorKey], cause);
  await applyRecording(deps, standing[recordingKey], cause);
  await views.fresh();
}

/**
 * A value that a newer release has agreed on stays as it is; if this release does not know it, logins here
 * are refused (`secondFactorOf`).
 */
async function applyStanding(
  deps: ConfigurationDeps,
  standing: string | undefined,
  cause: Cause,
): Promise<void> {
  const { data, success } = secondFactor.safeParse(standing);
  if (success) await applySecondFactor(deps, data, cause);
  else
    deps.sink.warn('the second factor of the cluster is not known to this release', {
      secondFactor: standing,
    });
}

async function applySecondFactor(
  { log, views, sink }: ConfigurationDeps,
  wanted: SecondFactor,
  cause: Cause,
): Promise<void> {
  const { clusterName, clusterId } = clusterOf(views);
  const { facts } = await execute(
    log.state,
    cluster,
    clusterStream,
    { type: 'open-cluster', clusterName, clusterId, secondFactor: wanted },
    cause,
  );
  if (facts.length > 0) sink.info('the configuration changed the second factor', { secondFactor: wanted });
}

/** Undefined: no file of any auth server declares it, as in tests. */
async function applyRecording(
  { log, world, sink }: ConfigurationDeps,
  standing: string | undefined,
  cause: Cause,
): Promise<void> {
  if (standing === undefined) return;
  const mode = recordingModeOf(standing);
  const { publicKey, privateKey } = newBoxKeys();
  const newKey = { keyId: world.uuid(), publicKey: publicKey.toString('base64'), privateKey };
  const { facts } = await execute(
    log.state,
    recording,
    recordingStream,
    { type: 'configure-recording', mode, newKey },
    cause,
  );
  if (facts.some(({ type }) => type === 'recording.configured'))
    sink.info('the configuration changed how sessions are recorded', { mode });
}

/** A server that has never been seen may be starting right now. */
const isAlive =
  ({ views }: Pick<ConfigurationDeps, 'views'>) =>
  (hostId: string): boolean =>
    presenceOf(views.presence.state(), { hostId, role: 'Auth' }, views.clock.monotonic()).status !== 'gone';

const aliveOf = (deps: ConfigurationDeps): string[] =>
  Object.keys(deps.views.configuration.state().declared).filter(isAlive(deps));

/** How the files of the auth servers that are alive differ from the values that apply. */
export const currentDrift = (deps: Pick<ConfigurationDeps, 'views'>): Drift[] =>
  driftOf(deps.views.configuration.state(), isAlive(deps));

export const driftLine = ({ key, standing, others }: Drift): string =>
  `${key}: "${standing}" stands; ${others.map(({ nodename, value }) => `${nodename} says "${value}"`).join(', ')}`;

/** Writes to the log of this process whenever the files begin to differ, and when they agree again. */
export function tellDrift(deps: ConfigurationDeps): { close(): void } {
  const told = new Map<string, string>();
  const subscription = deps.views.configuration.changes.subscribe({
    next: () => {
      const lines = new Map(currentDrift(deps).map((drift) => [drift.key, driftLine(drift)]));
      for (const [key, line] of lines)
        if (told.get(key) !== line)
          deps.sink.warn(
            `the configuration files of the auth servers differ, the older value stands: ${line}`,
          );
      for (const key of told.keys())
        if (!lines.has(key))
          deps.sink.info(`the configuration files of the auth servers agree on ${key} again`);
      told.clear();
      for (const [key, line] of lines) told.set(key, line);
    },
    // `views.broken` ends the service.
    error: () => undefined,
  });
  return {
    close: () => {
      subscription.unsubscribe();
    },
  };
}
