import { acceptInvite as row } from '../../api/operations/invite.ts';
import { codeMisfit, invite } from '../../domain/invite.ts';
import { inviteStream, userStream } from '../../domain/streams.ts';
import { user } from '../../domain/user.ts';
import type { SetCredentials } from '../../domain/user-change.ts';
import { step, transact } from '../../log/execute.ts';
import { matchOtpStep } from '../../pki/otp.ts';
import { findUser } from '../../views/users.ts';
import { type AuthDeps, causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { destroySecrets } from '../secrets/destroy-secrets.ts';
import { addressesOf } from '../user/addresses-of.ts';
import { checkNewPassword, hashOf } from '../user/new-password.ts';
import { linkComer, openInvite, type OpenInvite } from './read-invite.ts';

/** A person sets a password, and proves that its device has the one-time seed. The link works once. */
export const acceptInvite = implementing(row, (deps, call, input) => {
  const { token, clientAddress: address } = input;
  return deps.gate.admit(linkComer(deps, call, { token, address }), async () => {
    const open = await openInvite(deps, { token, address });
    checkNewPassword(input.password);
    const otp = await proveSeed(deps, open, input.otp);
    const { username } = open.pending;
    const before = findUser(deps.views.users.state(), username);
    const { position } = await transact(
      deps.log.state,
      [
        step(invite, inviteStream(open.hash), {
          type: 'accept-invite',
          ...open.time,
          ...(otp.status === 'set' && { openingId: open.pending.opened?.id ?? null }),
        }),
        step(user, userStream(username), {
          type: 'set-credentials',
          inviteHash: open.hash,
          passwordId: deps.world.uuid(),
          passwordHash: await hashOf(input.password),
          otp,
          addresses: addressesOf(input, call),
        }),
      ],
      { ...causeOf(deps, call), actor: `user:${username}` },
      termsOf(call, open.asOf),
    );
    if (position === undefined) throw new Error('bug: an accepted invite made no fact');
    await deps.views.reached(position);
    // The user's stream has its own copy of the seed now.
    const replaced = otp.status === 'set' ? [before?.otpIn] : [];
    deps.afterwards.add(destroySecrets(deps, [open.seedIn, before?.passwordIn, ...replaced]));
    return { username };
  });
});

async function proveSeed(deps: AuthDeps, open: OpenInvite, code: string): Promise<SetCredentials['otp']> {
  if (open.secondFactor === 'off') return { status: 'unchanged' };
  const seed = await open.seed();
  const usedStep = matchOtpStep(seed, code, Date.parse(deps.world.now()));
  if (usedStep === undefined) throw codeMisfit();
  return { status: 'set', id: deps.world.uuid(), seed, usedStep };
}
