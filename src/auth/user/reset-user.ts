import { resetUser as row } from '../../api/operations/user.ts';
import { second } from '../../base/time.ts';
import { invite } from '../../domain/invite.ts';
import { inviteStream, userStream } from '../../domain/streams.ts';
import { user } from '../../domain/user.ts';
import { step, transact } from '../../log/execute.ts';
import { findInvite } from '../../views/invites.ts';
import { findUser } from '../../views/users.ts';
import { causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { destroySecrets } from '../secrets/destroy-secrets.ts';
import { newInvite } from '../invite/new-invite.ts';

/** The old password admits nobody from here on; the new link replaces any older one. */
export const resetUser = implementing(row, async (deps, call, { username, resetTtlSeconds }) => {
  const fresh = newInvite(deps, { username, purpose: 'reset', ttlMs: resetTtlSeconds * second });
  const asOf = await deps.views.fresh();
  const before = findUser(deps.views.users.state(), username);
  const replaced = before?.state.invite?.hash;
  const revoke =
    replaced === undefined
      ? []
      : [step(invite, inviteStream(replaced), { type: 'revoke-invite', reason: 'replaced' })];
  const { position } = await transact(
    deps.log.state,
    [
      step(user, userStream(username), {
        type: 'reset-user',
        username,
        invite: { hash: fresh.hash, expiresAt: fresh.expiresAt },
      }),
      step(invite, inviteStream(fresh.hash), fresh.command),
      ...revoke,
    ],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position === undefined) throw new Error('bug: a reset made no fact');
  const oldInvite = replaced === undefined ? undefined : findInvite(deps.views.invites.state(), replaced);
  await deps.views.reached(position);
  deps.afterwards.add(destroySecrets(deps, [before?.passwordIn, oldInvite?.seedIn]));
  return { resetToken: fresh.token, expiresAt: fresh.expiresAt, position };
});
