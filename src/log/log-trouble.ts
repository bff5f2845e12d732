import type { ClusterLog } from './event-log.ts';

type Log = Pick<ClusterLog, 'stats' | 'store'>;

/** Why the log accepts nothing new, or soon will not, in words for operators. */
export const logTrouble = (log: Log): string | undefined => refusesWrites(log) ?? storeWorry(log);

/** Why the log accepts nothing new now. */
export function refusesWrites(log: Log): string | undefined {
  const stats = Object.entries(log.stats());
  for (const [partition, { damage }] of stats)
    if (damage !== undefined) return `the ${partition} log is damaged: ${damage}`;
  for (const [, { wentBack }] of stats) if (wentBack !== undefined) return wentBack;
  for (const [, { fence }] of stats) if (fence !== undefined) return fence.reason;
  const { writes, trouble } = log.store();
  return writes === 'refused' ? (trouble ?? 'the store takes no writes') : undefined;
}

/** What should be repaired in the store, while it accepts writes. */
export function storeWorry(log: Pick<Log, 'store'>): string | undefined {
  const { writes, trouble } = log.store();
  return writes === 'refused' ? undefined : trouble;
}
