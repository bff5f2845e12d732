import { setCodeDevice as row } from '../../api/operations/user-own.ts';
import { codeMisfit, invite } from '../../domain/invite.ts';
import { inviteStream, userStream } from '../../domain/streams.ts';
import { user } from '../../domain/user.ts';
import { step, transact } from '../../log/execute.ts';
import { matchOtpStep } from '../../pki/otp.ts';
import { findUser } from '../../views/users.ts';
import { causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { addressesOf } from './addresses-of.ts';
import { linkComer, openInvite } from '../invite/read-invite.ts';
import { requireUnlocked } from '../lock/in-force.ts';
import { destroySecrets } from '../secrets/destroy-secrets.ts';

/**
 * The new device has the secret: it counts from here on, and the old one no more. A code that does not fit
 * spends nothing and counts for nothing: whoever has the token has the secret.
 * @throws CodedError `access_denied` for a token that does not work, for any reason, and for a wrong code.
 */
export const setCodeDevice = implementing(row, (deps, call, input) => {
  const { token, otp, clientAddress: address } = input;
  return deps.gate.admit(linkComer(deps, call, { token, address }), async () => {
    const open = await openInvite(deps, { token, address, sets: 'code_device' });
    const { username } = open.pending;
    const before = findUser(deps.views.users.state(), username);
    requireUnlocked(deps, { user: username, roles: before?.state.roles ?? [] });
    const seed = await open.seed();
    const usedStep = matchOtpStep(seed, otp, Date.parse(deps.world.now()));
    if (usedStep === undefined) throw codeMisfit('device');
    const { position } = await transact(
      deps.log.state,
      [
        step(invite, inviteStream(open.hash), {
          type: 'accept-invite',
          ...open.time,
          openingId: null,
          sets: 'code_device',
        }),
        step(user, userStream(username), {
          type: 'set-code-device',
          inviteHash: open.hash,
          otp: { id: deps.world.uuid(), seed, usedStep },
          addresses: addressesOf(input, call),
        }),
      ],
      { ...causeOf(deps, call), actor: `user:${username}` },
      termsOf(call, open.asOf),
    );
    if (position === undefined) throw new Error('bug: a new code device made no fact');
    await deps.views.reached(position);
    // The user's stream has its own copy of the seed now.
    deps.afterwards.add(destroySecrets(deps, [open.seedIn, before?.otpIn]));
    return { username };
  });
});
