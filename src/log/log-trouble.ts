import type { ClusterLog } from './event-log.ts';

/** Why the log takes nothing new, or soon will not, in words for operators. */
export function logTrouble(log: Pick<ClusterLog, 'stats' | 'store'>): string | undefined {
  const stats = Object.entries(log.stats());
  for (const [partition, { damage }] of stats)
    if (damage !== undefined) return `the ${partition} log is damaged: ${damage}`;
  for (const [, { wentBack }] of stats) if (wentBack !== undefined) return wentBack;
  for (const [, { fence }] of stats) if (fence !== undefined) return fence.reason;
  return log.store().trouble;
}
