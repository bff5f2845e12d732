import { listUsers as row } from '../../api/operations/user.ts';
import { summariesOf } from '../../views/users.ts';
import { timeForUser } from '../deciding-time-of.ts';
import { implementing } from '../implementing.ts';

/** Locks are shown here, to operators, and nowhere else. */
export const listUsers = implementing(row, async (deps) => {
  await deps.views.fresh();
  return {
    users: [...summariesOf(deps.views.users.state(), (user) => timeForUser(deps, user.username, user))],
  };
});
