import type { ClusterLog } from '../../log/event-log.ts';
import { partitions } from '../../log/event.ts';
import type { MetricsRegistry } from './metrics.ts';

/**
 * Exports the activity of the log and how far each reader is behind: the usual failure of such systems is a
 * part that stopped silently.
 */
export function exportLogMetrics(log: Pick<ClusterLog, 'stats' | 'store'>, metrics: MetricsRegistry): void {
  metrics.onRender(() => {
    const stats = log.stats();
    const { figures, trouble, writes } = log.store();
    for (const [name, value] of Object.entries(figures)) metrics.set(`log_store_${name}`, value);
    metrics.set('log_store_in_trouble', trouble === undefined ? 0 : 1);
    metrics.set('log_store_refuses_writes', writes === 'refused' ? 1 : 0);
    for (const partition of partitions) {
      const one = stats[partition];
      const set = (name: string, value: number): void => {
        metrics.set(name, value, { partition });
      };
      set('log_position', one.position);
      set('log_slot', one.slot);
      set('log_streams', one.streams);
      set('log_appends', one.appends);
      set('log_events_appended', one.events);
      set('log_batches', one.batches);
      set('log_bytes', one.bytes);
      set('log_conflicts', one.conflicts);
      set('log_ambiguous_commits', one.ambiguous);
      set('log_commit_seconds', one.commitMs / 1000);
      set('log_slowest_commit_seconds', one.slowestCommitMs / 1000);
      set('log_waiting_appends', one.waitingAppends);
      set('log_waiting_bytes', one.waitingBytes);
      set('log_followers', one.followers);
      set('log_follower_lag_events', one.lag);
      set('log_damaged', one.damage === undefined ? 0 : 1);
      set('log_went_back', one.wentBack === undefined ? 0 : 1);
      set('log_fenced', one.fence === undefined ? 0 : 1);
    }
  });
}
