import { deleteUser as row } from '../../api/operations/user.ts';
import { userStream } from '../../domain/streams.ts';
import { user } from '../../domain/user.ts';
import { step, transact } from '../../log/execute.ts';
import { findUser } from '../../views/users.ts';
import { causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { revokeInvite, seedOfInvite } from '../invite/ended-invite.ts';
import { destroySecrets } from '../secrets/destroy-secrets.ts';

/** The user, its open link and its secrets go together. @throws CodedError `not_found` */
export const deleteUser = implementing(row, async (deps, call, { username }) => {
  const asOf = await deps.views.fresh();
  const before = findUser(deps.views.users.state(), username);
  const { position } = await transact(
    deps.log.state,
    [
      step(user, userStream(username), { type: 'delete-user', username }),
      ...revokeInvite(before, 'user_deleted'),
    ],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position === undefined) throw new Error('bug: a deletion made no fact');
  const seed = seedOfInvite(deps, before);
  await deps.views.reached(position);
  await destroySecrets(deps, [before?.passwordIn, before?.otpIn, seed]);
  return { position };
});
