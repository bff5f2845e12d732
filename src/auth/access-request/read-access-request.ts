import { readAccessRequest as row } from '../../api/operations/access-request.ts';
import { second } from '../../base/time.ts';
import { startTimer } from '../../base/timers.ts';
import { findRequest } from '../../views/requests.ts';
import type { AuthDeps } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { maySee, notFound, requestNamed, shownRequest } from './known-requests.ts';

export const readAccessRequest = implementing(row, async (deps, call, { requestId, waitSeconds }) => {
  await deps.views.fresh();
  // Who may not see it learns no more than that of one that never was.
  if (!maySee(call, row.verb, requestNamed(deps, requestId))) throw notFound(requestId);
  if (waitSeconds > 0) await untilResolved(deps.views, requestId, waitSeconds * second);
  return { request: shownRequest(requestNamed(deps, requestId), deps.world.now()) };
});

/** Until it is not pending any more, as the log has it; or until that time is over. */
async function untilResolved({ requests }: AuthDeps['views'], id: string, ms: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const end = (): void => {
    resolve(undefined);
  };
  const timer = startTimer(end, ms);
  const following = requests.changes.subscribe({
    next: (state) => {
      if (findRequest(state, id)?.status !== 'pending') end();
    },
    // What has stopped tells nothing new: the next call finds out why.
    error: end,
    complete: end,
  });
  await promise;
  timer.stop();
  following.unsubscribe();
}
