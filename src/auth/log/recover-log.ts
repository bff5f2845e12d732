import { recoverLog as row } from '../../api/operations/log.ts';
import { pause } from '../../base/backoff.ts';
import { second } from '../../base/time.ts';
import { recoverCluster } from '../../log/recover-cluster.ts';
import { type AuthDeps, causeOf } from '../deps.ts';
import { implementing } from '../implementing.ts';

/**
 * Gives the store back what this auth server still knows, or goes on from what the store has. It takes as
 * long as it takes: whoever called is never told that nothing was begun when it was.
 */
export const recoverLog = implementing(row, async (deps, call, { step }) => {
  const { log, hostId, sink } = deps;
  call.deadline.begin();
  sink.warn('the log is recovered from a store that went back', { step });
  const partitions = await recoverCluster(log, step, causeOf(deps, call));
  await untilFollowed(deps);
  return { hostId, partitions };
});

/** Longer than the longest pause of a view that begins again. */
const longestMs = 15 * second;
const lookEveryMs = 50;

/** Who asks next shall not be told what is over. A view that does not come back in time tells of itself. */
async function untilFollowed({ views, lag, world }: AuthDeps): Promise<void> {
  const began = world.monotonic();
  while (views.failure() !== undefined && world.monotonic() - began < longestMs) await pause(lookEveryMs);
  await lag.look();
}
