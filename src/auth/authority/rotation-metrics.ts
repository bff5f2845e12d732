import { second } from '../../base/duration.ts';
import { startTicker } from '../../base/timers.ts';
import { rotationPhases } from '../../domain/rotation.ts';
import type { AuthDeps } from '../deps.ts';
import { followingOf, hostsThatFollow } from './lagging-hosts.ts';

const everyMs = 5 * second;

/**
 * Sets the gauges of both authorities: the phase, the number of hosts that are alive, and of those that have
 * not acknowledged it. Now, and periodically until it is closed.
 */
export function measureRotations(deps: Pick<AuthDeps, 'views' | 'metrics'>): { close(): void } {
  const { views, metrics } = deps;
  const measure = (): void => {
    const hosts = hostsThatFollow(deps);
    for (const authority of ['user', 'host'] as const) {
      const { state } = views.authorities.state()[authority];
      if (state.status !== 'created') continue;
      for (const phase of rotationPhases)
        metrics.set('authority_rotation_phase', state.rotation.phase === phase ? 1 : 0, { authority, phase });
      const { alive, lagging } = followingOf(hosts, authority, state);
      metrics.set('authority_rotation_hosts_alive', alive, { authority });
      metrics.set('authority_rotation_hosts_lagging', lagging.length, { authority });
    }
  };
  measure();
  const ticker = startTicker(measure, everyMs);
  ticker.unref();
  return {
    close: () => {
      ticker.stop();
    },
  };
}
