import { unlockUser as row } from '../../api/operations/user.ts';
import { userStream } from '../../domain/streams.ts';
import { user } from '../../domain/user.ts';
import { step, transact } from '../../log/execute.ts';
import { causeOf, termsOf } from '../deps.ts';
import type { ActiveUser } from '../../domain/user-state.ts';
import { findUser } from '../../views/users.ts';
import { implementing } from '../implementing.ts';
import { freshForAttempt } from './record-attempt.ts';
import { userNow } from './user-now.ts';

/**
 * Failed logins of this user do not count any more, and addresses that they locked out may try again. @throws
 * CodedError `not_found`
 */
export const unlockUser = implementing(row, async (deps, call, { username }) => {
  const { state: asOf } = await freshForAttempt(deps);
  const entry = findUser(deps.views.users.state(), username);
  const failedApart = entry !== undefined && hasFailed(userNow(deps, entry));
  const { position } = await transact(
    deps.log.state,
    [step(user, userStream(username), { type: 'unlock-user', username, failedApart })],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position !== undefined) await deps.views.reached(position);
  return { unlocked: position !== undefined, position: position ?? asOf };
});

const hasFailed = ({ failures, lock, sourceLocks }: ActiveUser): boolean =>
  lock !== null || failures.length + sourceLocks.length > 0;
