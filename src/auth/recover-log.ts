import type { z } from 'zod';
import type { readRecovery, recoverLog as recoverLogRow } from '../api/recover-log.ts';
import { recoverCluster, reportCluster } from '../log/recover-cluster.ts';
import type { Call } from '../api/server-deps.ts';
import { type AuthDeps, causeOf } from './deps.ts';

/** What this auth server knows that its store does not hold. */
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
  return { hostId, partitions: await recoverCluster(log, step, causeOf(deps, call)) };
}
