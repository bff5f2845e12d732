import type { LogSink } from '../base/log-sink.ts';
import type { Metrics } from '../base/service.ts';
import { second } from '../base/time.ts';
import type { World } from '../base/world.ts';
import type { SecondFactor } from '../domain/cluster.ts';
import type { ClusterLog } from '../log/event-log.ts';
import { auditWriter } from './audit-writer.ts';
import { openAuthViews } from './auth-views.ts';
import type { AuthDeps } from './deps.ts';
import { foundCluster } from './first-start.ts';
import { loginGate } from './login-gate.ts';
import { ownAudit } from './own-audit.ts';
import { presenceWriter } from './presence-writer.ts';
import { keyChest } from './signing-keys.ts';
import { turnedAway } from './turned-away.ts';

export interface AuthParts {
  readonly log: ClusterLog;
  readonly world: World;
  readonly sink: LogSink;
  readonly metrics: Metrics;
  readonly hostId: string;
  readonly clusterName: string;
  readonly secondFactor: SecondFactor;
}

/** Heartbeats of so long become one fact. */
const presenceIntervalMs = 3 * second;

/** The cluster as it stands on the log, ready for use cases; made when there was none. Close it. */
export async function buildDeps(
  parts: AuthParts,
): Promise<{ readonly deps: AuthDeps; readonly close: () => Promise<void> }> {
  const { log, world, sink, metrics, hostId, clusterName, secondFactor } = parts;
  const cause = { at: world.now(), actor: `auth:${hostId}`, requestId: world.uuid() };
  const founded = await foundCluster({ state: log.state, world, sink, clusterName, secondFactor, cause });
  const views = await openAuthViews(log);
  await views.reached(founded);
  await views.presence.reached(await log.presence.head());
  const audit = auditWriter(log.audit, hostId);
  const own = ownAudit(audit, world, hostId);
  const away = turnedAway(own, world, hostId, sink);
  const presence = presenceWriter({
    log: log.presence,
    world,
    sink,
    hostId,
    intervalMs: presenceIntervalMs,
  });
  const deps: AuthDeps = {
    log,
    world,
    sink,
    metrics,
    hostId,
    views,
    keys: keyChest(log.state, views),
    audit,
    ownAudit: own,
    gate: loginGate(world, away),
    presence,
  };
  return {
    deps,
    close: async () => {
      await presence.close();
      await away.close();
      views.close();
    },
  };
}
