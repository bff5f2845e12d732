import { changePassword as row } from '../../api/operations/user-own.ts';
import { CodedError } from '../../base/errors.ts';
import { implementing } from '../implementing.ts';
import { seedOfInvite } from '../invite/ended-invite.ts';
import { destroySecrets } from '../secrets/destroy-secrets.ts';
import { changeOnProof } from './change-on-proof.ts';
import { freshForAttempt } from './record-attempt.ts';
import { comerOf } from './examine-claim.ts';
import { checkNewPassword, hashOf } from './new-password.ts';

/**
 * A person replaces its password. The certificates it has stay valid until they end, and where it is now is
 * its only known source. A code device that it began to set up has to be begun again.
 * @throws CodedError `bad_request` for a new password that is too short or the old one, before anything is
 *   checked; `access_denied` as a login.
 */
export const changePassword = implementing(row, (deps, call, { newPassword, ...claim }) =>
  deps.gate.admit(comerOf(deps, call, claim), async () => {
    checkNewPassword(newPassword);
    if (newPassword === claim.password)
      throw new CodedError('bad_request', 'the new password is the same as the old one');
    const asOf = await freshForAttempt(deps);
    // Made for any claim: the time that it takes must not show which part of a claim was right.
    const passwordHash = await hashOf(newPassword);
    const passwordId = deps.world.uuid();
    const before = await changeOnProof(deps, call, {
      claim,
      asOf,
      commandOf: (proof) => ({ type: 'change-password', ...proof, passwordId, passwordHash }),
    });
    deps.afterwards.add(destroySecrets(deps, [before.passwordIn, seedOfInvite(deps, before)]));
    return { username: before.state.username };
  }),
);
