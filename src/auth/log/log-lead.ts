import { msBetween, second } from '../../base/time.ts';
import { clockToleranceMs } from '../../base/clock-tolerance.ts';
import { partitions } from '../../log/event.ts';
import type { AuthDeps } from '../deps.ts';

/**
 * Describes how far the log's own time is ahead of this server's clock: an auth server wrote while its clock
 * was ahead, and the log's time never goes back. Nothing depends on it; what is written until then has that
 * same time. Undefined when it is not ahead.
 */
export async function logLead({ log, world }: Pick<AuthDeps, 'log' | 'world'>): Promise<string | undefined> {
  const leads = await Promise.all(
    partitions.map(async (partition) => {
      const { position } = log.stats()[partition];
      if (position === 0) return { partition, ms: 0 };
      for await (const { cause } of log[partition].history(position - 1))
        return { partition, ms: msBetween(world.now(), cause.at) };
      return { partition, ms: 0 };
    }),
  );
  const ahead = leads.filter(({ ms }) => ms > clockToleranceMs);
  if (ahead.length === 0) return undefined;
  const said = ahead.map(({ partition, ms }) => `${partition} by ${Math.round(ms / second)} s`).join(', ');
  return `the log's time is ahead (${said}), by an auth server whose clock was: harmless, and over by then`;
}
