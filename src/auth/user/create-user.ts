import { createUser as row } from '../../api/operations/user.ts';
import { second } from '../../base/time.ts';
import { invite } from '../../domain/invite.ts';
import { inviteStream, userStream } from '../../domain/streams.ts';
import { user } from '../../domain/user.ts';
import { step, transact } from '../../log/execute.ts';
import { causeOf, termsOf } from '../deps.ts';
import { allLookApart } from './attempts-apart.ts';
import { implementing } from '../implementing.ts';
import { checkFitsCertificate } from './issue-certificates.ts';
import { newInvite } from '../invite/new-invite.ts';
import { requiringRoles, rolesToGive } from './roles-to-give.ts';

/** The user and the link that sets its password, in one append, so that neither exists without the other. */
export const createUser = implementing(row, async (deps, call, input) => {
  const asOf = await deps.views.fresh();
  const { username, roles, traits } = input;
  checkFitsCertificate(username, { roles: rolesToGive(deps.views, roles), traits });
  const { token, hash, command, expiresAt } = newInvite(deps, {
    username,
    purpose: 'invite',
    ttlMs: input.inviteTtlSeconds * second,
  });
  const { position } = await transact(
    deps.log.state,
    [
      step(user, userStream(username), {
        type: 'create-user',
        username,
        roles,
        traits,
        invite: { hash, expiresAt },
        attemptsApart: allLookApart(deps),
      }),
      step(invite, inviteStream(hash), command),
      ...requiringRoles(roles),
    ],
    causeOf(deps, call),
    termsOf(call, asOf),
  );
  if (position === undefined) throw new Error('bug: a new user made no fact');
  await deps.views.reached(position);
  return { inviteToken: token, expiresAt, position };
});
