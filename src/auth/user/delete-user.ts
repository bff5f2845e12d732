import { deleteUser as row } from '../../api/operations/user.ts';
import { invite } from '../../domain/invite.ts';
import { inviteStream, userStream } from '../../domain/streams.ts';
import { user } from '../../domain/user.ts';
import { step, transact } from '../../log/execute.ts';
import { findInvite } from '../../views/invites.ts';
import { findUser } from '../../views/users.ts';
import { causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { destroySecrets } from '../secrets/destroy-secrets.ts';

/** The user, its open link and its secrets go together. @throws CodedError `not_found` */
export const deleteUser = implementing(row, async (deps, call, { username }) => {
  const asOf = await deps.views.fresh();
  const before = findUser(deps.views.users.state(), username);
  const open = before?.state.invite?.hash;
  const revoke =
    open === undefined
      ? []
      : [step(invite, inviteStream(open), { type: 'revoke-invite', reason: 'user_deleted' })];
  const { position } = await transact(
    deps.log.state,
    [step(user, userStream(username), { type: 'delete-user', username }), ...revoke],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position === undefined) throw new Error('bug: a deletion made no fact');
  const openInvite = open === undefined ? undefined : findInvite(deps.views.invites.state(), open);
  await deps.views.reached(position);
  await destroySecrets(deps, [before?.passwordIn, before?.otpIn, openInvite?.seedIn]);
  return { position };
});
