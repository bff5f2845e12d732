import { second } from '../../base/duration.ts';
import { minute } from '../../base/time.ts';
import { startTicker } from '../../base/timers.ts';
import { turns } from '../../base/turns.ts';
import { rotationPhases } from '../../domain/rotation.ts';
import { rotationMark } from '../../domain/rotation-mark.ts';
import { eachReportingHost } from '../../views/reporting-hosts.ts';
import type { AuthDeps } from '../deps.ts';
import { isLagging } from './lagging-hosts.ts';

const everyMs = 5 * second;
/** While no authority rotates and no host lags: then it only counts those who are alive. */
const everyMsInStandby = minute;
const authorities = ['user', 'host'] as const;

/** Keeps the gauges of both authorities. */
export interface RotationMetrics {
  /** Sets them now. */
  run(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Sets the gauges of both authorities: the phase, the number of hosts that are alive, and of those that have
 * not acknowledged it. Now, and periodically until it is closed. Others have their turns meanwhile.
 */
export function measureRotations(deps: Pick<AuthDeps, 'views' | 'metrics'>): RotationMetrics {
  const { views, metrics } = deps;
  let countedAtMs = -Infinity;
  let isAnyLagging = false;
  const isStandby = (): boolean =>
    authorities.every((authority) => {
      const { state } = views.authorities.state()[authority];
      return state.status !== 'created' || state.rotation.phase === 'standby';
    });

  const count = async (): Promise<void> => {
    const created = authorities.flatMap((authority) => {
      const { state } = views.authorities.state()[authority];
      return state.status === 'created' ? [{ authority, state, mark: rotationMark(state), lagging: 0 }] : [];
    });
    for (const { authority, state } of created)
      for (const phase of rotationPhases)
        metrics.set('authority_rotation_phase', state.rotation.phase === phase ? 1 : 0, { authority, phase });
    const atMs = views.clock.monotonic();
    countedAtMs = atMs;
    let alive = 0;
    for await (const host of eachReportingHost(views.hosts.state(), views.presence.state(), atMs, turns())) {
      alive++;
      for (const one of created) if (isLagging(host, one.authority, one.mark)) one.lagging++;
    }
    isAnyLagging = created.some(({ lagging }) => lagging > 0);
    for (const { authority, lagging } of created) {
      metrics.set('authority_rotation_hosts_alive', alive, { authority });
      metrics.set('authority_rotation_hosts_lagging', lagging, { authority });
    }
  };

  let wasStandby = true;
  let running: Promise<void> | undefined;
  const run = (): Promise<void> => {
    running ??= count().finally(() => (running = undefined));
    return running;
  };
  const look = (): void => {
    const now = isStandby();
    const isQuiet = now && wasStandby && !isAnyLagging;
    wasStandby = now;
    if (!isQuiet || views.clock.monotonic() - countedAtMs >= everyMsInStandby) void run();
  };
  look();
  const ticker = startTicker(look, everyMs);
  ticker.unref();
  return {
    run,
    close: async () => {
      ticker.stop();
      await running;
    },
  };
}
