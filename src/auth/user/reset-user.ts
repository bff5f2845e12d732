import { resetUser as row } from '../../api/operations/user.ts';
import { second } from '../../base/time.ts';
import { invite } from '../../domain/invite.ts';
import { inviteStream, userStream } from '../../domain/streams.ts';
import { user } from '../../domain/user.ts';
import { step, transact } from '../../log/execute.ts';
import { findUser } from '../../views/users.ts';
import { causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { destroySecrets } from '../secrets/destroy-secrets.ts';
import { revokeInvite, seedOfInvite } from '../invite/ended-invite.ts';
import { newInvite } from '../invite/new-invite.ts';

/** The old password admits nobody from here on; the new link replaces any older one. */
export const resetUser = implementing(row, async (deps, call, { username, resetTtlSeconds }) => {
  const fresh = newInvite(deps, { username, purpose: 'reset', ttlMs: resetTtlSeconds * second });
  const asOf = await deps.views.fresh();
  const before = findUser(deps.views.users.state(), username);
  const { position } = await transact(
    deps.log.state,
    [
      step(user, userStream(username), {
        type: 'reset-user',
        username,
        invite: { hash: fresh.hash, expiresAt: fresh.expiresAt },
      }),
      step(invite, inviteStream(fresh.hash), fresh.command),
      ...revokeInvite(before, 'replaced'),
    ],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position === undefined) throw new Error('bug: a reset made no fact');
  const oldSeed = seedOfInvite(deps, before);
  await deps.views.reached(position);
  deps.afterwards.add(destroySecrets(deps, [before?.passwordIn, oldSeed]));
  return { resetToken: fresh.token, expiresAt: fresh.expiresAt, position };
});
