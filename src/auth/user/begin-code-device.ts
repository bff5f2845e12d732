import { beginCodeDevice as row } from '../../api/operations/user-own.ts';
import { CodedError } from '../../base/errors.ts';
import { invite } from '../../domain/invite.ts';
import { inviteStream } from '../../domain/streams.ts';
import { codeDeviceTtlMs } from '../../domain/user-own-change.ts';
import { step, transact } from '../../log/execute.ts';
import { causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { revokeInvite, seedOfInvite } from '../invite/ended-invite.ts';
import { newInvite, urlOfSeed } from '../invite/new-invite.ts';
import { clusterOf, secondFactorOf } from '../lookups.ts';
import { destroySecrets } from '../secrets/destroy-secrets.ts';
import { changeOnProof } from './change-on-proof.ts';
import { freshForAttempt } from './record-attempt.ts';
import { comerOf } from './examine-claim.ts';

/**
 * Gives a person who proves who it is the secret of a new code device. The secret is stored only behind the
 * proof, so that somebody who guesses makes no stream; until then its token opens nothing.
 * @throws CodedError `bad_request` where the cluster asks for no codes; `access_denied` as a login.
 */
export const beginCodeDevice = implementing(row, (deps, call, claim) =>
  deps.gate.admit(comerOf(deps, call, claim), async () => {
    if (secondFactorOf(deps.views) === 'off')
      throw new CodedError('bad_request', 'this cluster asks for no codes (second_factor: off)');
    const asOf = await freshForAttempt(deps);
    const { username } = claim;
    const begun = newInvite(deps, {
      ...{ username, purpose: 'reset', ttlMs: codeDeviceTtlMs },
      sets: 'code_device',
    });
    const { hash, expiresAt, command, token } = begun;
    const before = await changeOnProof(deps, call, {
      claim,
      asOf,
      commandOf: (proof) => ({ type: 'begin-code-device', ...proof, invite: { hash, expiresAt } }),
    });
    const { position } = await transact(
      deps.log.state,
      [step(invite, inviteStream(hash), command), ...revokeInvite(before, 'replaced')],
      { ...causeOf(deps, call), actor: `user:${username}` },
      termsOf(call, asOf.state),
    );
    if (position === undefined) throw new Error('bug: a new secret made no fact');
    const oldSeed = seedOfInvite(deps, before);
    await deps.views.reached(position);
    deps.afterwards.add(destroySecrets(deps, [oldSeed]));
    const { clusterName } = clusterOf(deps.views);
    return { username, token, otpUrl: urlOfSeed(username, clusterName, command.otpSeed), expiresAt };
  }),
);
