import { userWithAttempts } from '../../domain/login-attempts.ts';
import type { ActiveUser } from '../../domain/user-state.ts';
import { attemptsIn } from '../../views/login-attempts.ts';
import type { UserEntry } from '../../views/users.ts';
import type { AuthDeps } from '../deps.ts';

type Deps = Pick<AuthDeps, 'views'>;

/** The user with what its attempts to log in have led to, as far as they are folded here. */
export const userNow = ({ views }: Deps, { state }: Pick<UserEntry, 'state'>): ActiveUser =>
  userWithAttempts(state, attemptsIn(views.attempts.state(), state.username)?.attempts);

/** The same with when it logged in last, wherever that is recorded. */
export function entryNow(deps: Deps, entry: UserEntry): UserEntry {
  const apart = attemptsIn(deps.views.attempts.state(), entry.state.username)?.lastLoginAt ?? null;
  // Of an earlier user of the name.
  const own = apart !== null && apart >= entry.createdAt ? apart : null;
  return { ...entry, state: userNow(deps, entry), lastLoginAt: own ?? entry.lastLoginAt };
}
