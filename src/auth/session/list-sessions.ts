import { may } from '../../api/guard.ts';
import { listSessions as row } from '../../api/operations/session.ts';
import { turns } from '../../base/turns.ts';
import { runningSessions } from '../../views/running-sessions.ts';
import { implementing } from '../implementing.ts';

/** Sessions that run now: a person's own, and those that rules allow. */
export const listSessions = implementing(row, async ({ views }, call) => {
  await views.fresh();
  const atMs = views.clock.monotonic();
  const running = await runningSessions(views.hosts.state(), views.presence.state(), atMs, turns());
  const { caller } = call;
  const own = caller.kind === 'user' ? caller.username : undefined;
  const sessions = running.sessions.filter(
    ({ sid: name, user }) =>
      user === own || may(call, row.verb, { kind: 'session', name, participants: [user] }),
  );
  const unnamed = may(call, row.verb, { kind: 'session' }) ? running.unnamed : [];
  return { sessions, unnamed: [...unnamed] };
});
