import type { Claim } from '../../api/operations/user.ts';
import type { Call } from '../../api/server-deps.ts';
import { isCoded } from '../../base/errors.ts';
import { user, type UserCommand } from '../../domain/user.ts';
import { loginOutcome, proofHolds } from '../../domain/user-login.ts';
import type { OwnProof } from '../../domain/user-own-change.ts';
import { step, transact } from '../../log/execute.ts';
import type { Position } from '../../log/event.ts';
import type { UserEntry } from '../../views/users.ts';
import { type AuthDeps, causeOf, termsOf } from '../deps.ts';
import { lockedBy } from '../lock/in-force.ts';
import { secondFactorOf } from '../lookups.ts';
import { examineClaim, tellRefusal, unrecordedBecause, wrongCredentials } from './examine-claim.ts';

interface Wish {
  readonly claim: Claim;
  readonly commandOf: (proof: OwnProof) => UserCommand;
  /** The log's head when the caller was let in. */
  readonly asOf: Position;
}

/**
 * What a person changes of its own by its password and code. Like a login it does the same work for any
 * claim, and ends in one durable append.
 * @returns the user as it was before.
 * @throws CodedError `access_denied`, one message for any claim that does not hold; the text of the lock, for
 *   one that holds, where an operator has locked the user.
 */
export async function changeOnProof(
  deps: AuthDeps,
  call: Call,
  { claim, commandOf, asOf }: Wish,
): Promise<UserEntry> {
  const { entry, proof, stream } = await examineClaim(deps, call, claim);
  const byItself = entry !== undefined && proofHolds(entry.state, proof);
  const cause = { ...causeOf(deps, call), ...(byItself && { actor: `user:${entry.state.username}` }) };
  const forbidden = entry && lockedBy(deps, { user: entry.state.username, roles: entry.state.roles });
  const refusal = { 'addr.local': proof.addresses.local };
  const { position, outcomes } = await transact(
    deps.log.state,
    [step(user, stream, commandOf({ ...proof, forbidden }))],
    cause,
    termsOf(call, asOf),
  ).catch(async (e: unknown) => {
    if (forbidden !== undefined && isCoded(e, 'access_denied'))
      await tellRefusal(deps, claim, cause, { error: e.message, ...refusal });
    throw e;
  });
  const [{ facts, state }] = outcomes;
  if (position !== undefined) await deps.views.reached(position);
  // The proof held against the password of this very user, as in a login.
  if (entry && loginOutcome(facts).status === 'logged_in') return entry;
  if (facts.length === 0)
    await tellRefusal(deps, claim, cause, { error: unrecordedBecause(state.status), ...refusal });
  throw wrongCredentials(secondFactorOf(deps.views));
}
