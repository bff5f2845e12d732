import type { ClusterLog } from './event-log.ts';
import { type Cause, type Partition, partitions } from './event.ts';
import type { MissingEvent, Recovered, RecoveryReport, RecoveryStep } from './recovery-report.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly MissingEvent[] ? MissingEvent[] : T[K] };
type Plain<T> = Omit<Mutable<T>, 'common'> & { readonly partition: Partition };

/** Every partition: what this process knows, and what the store holds. */
export async function reportCluster(
  log: Pick<ClusterLog, 'recovery'>,
): Promise<(Plain<RecoveryReport> & { common?: number })[]> {
  const reports = await Promise.all(partitions.map((partition) => log.recovery(partition)));
  return reports.map(({ common, held, ...rest }) => ({
    ...rest,
    held: [...held],
    ...(common !== undefined && { common }),
  }));
}

/** Every partition, one after the other: `state` first, since the others depend on it. */
export async function recoverCluster(
  log: Pick<ClusterLog, 'recover'>,
  step: RecoveryStep,
  cause: Cause,
): Promise<Plain<Recovered>[]> {
  const done: Plain<Recovered>[] = [];
  for (const partition of partitions) {
    const { givenBack, lost, ...rest } = await log.recover(partition, step, cause);
    done.push({ ...rest, givenBack: [...givenBack], lost: [...lost] });
  }
  return done;
}
