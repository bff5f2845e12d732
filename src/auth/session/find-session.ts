import { findSession as row } from '../../api/operations/session.ts';
import { CodedError } from '../../base/errors.ts';
import { turns } from '../../base/turns.ts';
import { runningSessions } from '../../views/running-sessions.ts';
import { implementing } from '../implementing.ts';

/** Where a session runs, for whoever has its id: whether they may join it the node decides. */
export const findSession = implementing(row, async ({ views }, _call, { sid }) => {
  await views.fresh();
  const atMs = views.clock.monotonic();
  const running = await runningSessions(views.hosts.state(), views.presence.state(), atMs, turns());
  const found = running.sessions.find((one) => one.sid === sid);
  if (found === undefined) throw new CodedError('not_found', `session ${sid} is not found, or has ended`);
  const { hostId, nodename } = found;
  return { hostId, nodename };
});
