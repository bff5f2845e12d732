import { listUsers as row } from '../../api/operations/user.ts';
import { summariesOf } from '../../views/users.ts';
import { timeForUser } from '../deciding-time-of.ts';
import { valuesOf } from '../../views/table.ts';
import { implementing } from '../implementing.ts';
import { entryNow } from './user-now.ts';
import { freshForAttempt } from './record-attempt.ts';

/** Locks are shown here, to operators, and nowhere else. */
export const listUsers = implementing(row, async (deps) => {
  await freshForAttempt(deps);
  const known = valuesOf(deps.views.users.state().known).map((entry) => entryNow(deps, entry));
  return {
    users: [...summariesOf(known, (user) => timeForUser(deps, user.username, user))],
  };
});
