import type { z } from 'zod';
import type { readRecovery, recoverLog as recoverLogRow } from '../api/recover-log.ts';
import type { Call } from '../api/server-deps.ts';
import { pause } from '../base/backoff.ts';
import { second } from '../base/time.ts';
import { recoverCluster, reportCluster } from '../log/recover-cluster.ts';
import { type AuthDeps, causeOf } from './deps.ts';

/** What this auth server knows that its store does not hold. Answers while everything else is refused. */
export async function logRecovery({ log, hostId }: AuthDeps): Promise<z.input<typeof readRecovery.output>> {
  return { hostId, partitions: await reportCluster(log) };
}

/** Gives the store back what this auth server still knows, or goes on from what the store has. */
export async function recoverLog(
  deps: AuthDeps,
  call: Call,
  { step }: z.output<typeof recoverLogRow.input>,
): Promise<z.input<typeof recoverLogRow.output>> {
  const { log, hostId, sink } = deps;
  sink.warn('the log is recovered from a store that went back', { step });
  const partitions = await recoverCluster(log, step, causeOf(deps, call));
  await untilFollowed(deps);
  return { hostId, partitions };
}

/** Longer than the longest pause of a view that begins again. */
const longestMs = 15 * second;
const lookEveryMs = 50;

/** Who asks next shall not be told what is over. A view that does not come back in time tells of itself. */
async function untilFollowed({ views, lag, world }: AuthDeps): Promise<void> {
  const began = world.monotonic();
  while (views.failure() !== undefined && world.monotonic() - began < longestMs) await pause(lookEveryMs);
  await lag.look();
}
