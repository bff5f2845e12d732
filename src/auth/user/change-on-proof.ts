import type { Claim } from '../../api/operations/user.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import type { Prove } from '../../domain/login-attempts.ts';
import type { Cause } from '../../log/event.ts';
import { user } from '../../domain/user.ts';
import { isStillProved, loginOutcome, proofHolds } from '../../domain/user-login.ts';
import {
  type BeginCodeDevice,
  type ChangePassword,
  methodOf,
  type OwnProof,
} from '../../domain/user-own-change.ts';
import { step, transact } from '../../log/execute.ts';
import type { UserEntry } from '../../views/users.ts';
import { type AuthDeps, causeOf, termsOf } from '../deps.ts';
import { lockedBy } from '../lock/in-force.ts';
import { secondFactorOf } from '../lookups.ts';
import { type AttemptAsOf, type RecordedAttempt, recordApart } from './record-attempt.ts';
import {
  examineClaim,
  type Examined,
  tellRefusal,
  unrecordedBecause,
  wrongCredentials,
} from './examine-claim.ts';

interface Wish {
  readonly claim: Claim;
  readonly commandOf: (proof: OwnProof) => ChangePassword | BeginCodeDevice;
  readonly asOf: AttemptAsOf;
}

/**
 * What a person changes of its own by its password and code. Like a login it does the same work for any
 * claim. Where attempts are recorded apart from the user, the code is spent first, and then the change made.
 * @returns the user as it was before.
 * @throws CodedError `access_denied`, one message for any claim that does not hold; the text of the lock, for
 *   one that holds, where an operator has locked the user.
 */
export async function changeOnProof(
  deps: AuthDeps,
  call: Call,
  { claim, commandOf, asOf }: Wish,
): Promise<UserEntry> {
  const examined = await examineClaim(deps, call, claim);
  const { entry, proof } = examined;
  const byItself = entry !== undefined && proofHolds(entry.state, proof);
  const cause = { ...causeOf(deps, call), ...(byItself && { actor: `user:${entry.state.username}` }) };
  const forbidden = entry && lockedBy(deps, { user: entry.state.username, roles: entry.state.roles });
  const refusal = { 'addr.local': proof.addresses.local };
  const recorded = entry?.state.attempts ?? 'here';
  const command = commandOf({ ...proof, recorded, forbidden });
  const { facts, status } = await carryOut(deps, call, { examined, command, cause, asOf }).catch(
    async (e: unknown) => {
      if (forbidden !== undefined && isCoded(e, 'access_denied'))
        await tellRefusal(deps, claim, cause, { error: e.message, ...refusal });
      throw e;
    },
  );
  // The proof held against the password of this very user, as in a login.
  if (entry && loginOutcome(facts).status === 'logged_in') return entry;
  if (facts.length === 0)
    await tellRefusal(deps, claim, cause, { error: unrecordedBecause(status), ...refusal });
  throw wrongCredentials(secondFactorOf(deps.views));
}

interface Change {
  readonly examined: Examined;
  readonly command: ChangePassword | BeginCodeDevice;
  readonly cause: Cause;
  readonly asOf: AttemptAsOf;
}

/** @returns the facts of the attempt, whichever partition they are in. */
async function carryOut(
  deps: AuthDeps,
  call: Call,
  { examined: { entry, stream }, command, cause, asOf }: Change,
): Promise<RecordedAttempt> {
  const change = async (): Promise<RecordedAttempt> => {
    const terms = termsOf(call, asOf.state);
    const { position, outcomes } = await transact(
      deps.log.state,
      [step(user, stream, command)],
      cause,
      terms,
    );
    const [{ facts, state }] = outcomes;
    if (position !== undefined) await deps.views.reached(position);
    return { facts, status: state.status };
  };
  if (entry === undefined || command.recorded === 'here') return change();
  if (command.forbidden !== undefined && isStillProved(entry.state, command))
    throw new CodedError('access_denied', command.forbidden);
  const attempt: Prove = { ...command, type: 'prove', method: methodOf(command) };
  const attempted = await recordApart(deps, call, { entry, stream, attempt, cause, asOf });
  if (loginOutcome(attempted.facts).status !== 'logged_in') return attempted;
  const changed = await change();
  // Meanwhile the user was changed once more: the code is spent, and nothing is changed.
  return changed.facts.length === 0 ? { ...changed, facts: [] } : attempted;
}
