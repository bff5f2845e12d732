import type { z } from 'zod';
import type { listUsers as operation } from '../api/operations.ts';
import { summariesOf } from '../views/users.ts';
import { timeForUser } from './deciding-time-of.ts';
import type { AuthDeps } from './deps.ts';

/** Locks are shown here, to operators, and nowhere else. */
export async function listUsers(deps: AuthDeps): Promise<z.input<typeof operation.output>> {
  await deps.views.fresh();
  return {
    users: [...summariesOf(deps.views.users.state(), (user) => timeForUser(deps, user.username, user))],
  };
}
