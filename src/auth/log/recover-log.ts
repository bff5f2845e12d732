import { recoverLog as row } from '../../api/operations/log.ts';
import { pause } from '../../base/backoff.ts';
import { second } from '../../base/time.ts';
import { recoverCluster } from '../../log/recover-cluster.ts';
import { type AuthDeps, causeOf } from '../deps.ts';
import { implementing } from '../implementing.ts';

/**
 * Writes back to the store what this auth server still knows, or continues from what the store has. It has no
 * time limit: a caller must never be told that nothing was begun when it was.
 */
export const recoverLog = implementing(row, async (deps, call, { step }) => {
  const { log, hostId, sink } = deps;
  call.deadline.begin();
  sink.warn('the log is recovered from a store that went back', { step });
  const partitions = await recoverCluster(log, step, causeOf(deps, call));
  await untilFollowed(deps);
  return { hostId, partitions };
});

/** Longer than the longest pause before a view begins again. */
const longestMs = 15 * second;
const lookEveryMs = 50;

/**
 * So that the next call does not get an outdated refusal. A view that does not come back in time reports that
 * itself.
 */
async function untilFollowed({ views, lag, world }: AuthDeps): Promise<void> {
  const began = world.monotonic();
  while (views.failure() !== undefined && world.monotonic() - began < longestMs) await pause(lookEveryMs);
  await lag.look();
}
