import type { z } from 'zod';
import { logIn as row } from '../../api/operations/user.ts';
import type { Call } from '../../api/server-deps.ts';
import { type CodedError, isCoded } from '../../base/errors.ts';
import type { Grant } from '../../domain/user-fact.ts';
import { type LogIn, loginOutcome } from '../../domain/user-login.ts';
import { requestStrategy } from '../../domain/may-request.ts';
import type { RoleSpec, Traits } from '../../domain/role-spec.ts';
import type { UserEntry } from '../../views/users.ts';
import { type AuthDeps, causeOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { comerOf, examineClaim, tellRefusal, unrecordedBecause, wrongCredentials } from './examine-claim.ts';
import { grantOf, readPublicKey, signCertificates } from './issue-certificates.ts';
import { lockedLogins, requireGrantUnlocked, requireUnlocked } from '../lock/in-force.ts';
import { rolesOf, secondFactorOf } from '../lookups.ts';
import { type AttemptAsOf, freshForAttempt, recordLogin } from './record-attempt.ts';
import { requireToLeadTo, signersForPeople } from '../trust/leaf-authorities.ts';

type Input = z.output<typeof row.input>;

/** A person logs in through a proxy: password, code, then certificates. */
export const logIn = implementing(row, (deps, call, input) => {
  return deps.gate.admit(comerOf(deps, call, input), async () => {
    deps.lag.require();
    // Before anything is spent on it: a code works once.
    const publicKey = readPublicKey(input.publicKey);
    const asOf = await freshForAttempt(deps);
    const signer = await deps.keys.signer('user');
    const { grant, ...proved } = await prove(deps, call, { input, asOf });
    deps.lag.require();
    // Not before: who has proved nothing learns no names.
    requireToLeadTo(deps, input.routeToCluster);
    // A lock may have been created while the password was checked.
    requireGrantUnlocked(deps, input.username, grant);
    const certificates = signCertificates(
      deps,
      signer,
      { ...input, ...proved, publicKey, loggedInAt: deps.world.now() },
      grant,
    );
    const request = requestStrategy(proved.roles);
    return {
      username: input.username,
      ...certificates,
      hostSigners: signersForPeople(deps),
      ...(request.access !== 'optional' && { request }),
    };
  });
});

/** What a login would be given, by what is known before it is decided. */
type Plan = Granted | Refused;
interface Granted {
  readonly status: 'granted';
  /** `UserEntry.life.id` of the user who was authenticated. */
  readonly lifeId: string;
  readonly roles: readonly RoleSpec[];
  readonly traits: Traits;
  readonly grant: Grant;
}
/** Shown only to a caller that has proved to be this user. */
interface Refused {
  readonly status: 'refused';
  readonly reason: CodedError;
}

function certificateIn(plan: Plan | undefined): Pick<LogIn, 'certificate'> {
  if (plan === undefined) return {};
  return plan.status === 'granted'
    ? { certificate: { grant: plan.grant, traits: plan.traits } }
    : { certificate: { status: 'impossible', reason: plan.reason.message } };
}

function granted(plan: Plan): Granted {
  if (plan.status === 'refused') throw plan.reason;
  return plan;
}

function planFor(deps: AuthDeps, { state, life }: UserEntry, { ttlSeconds }: Input): Plan {
  try {
    const { username, traits } = state;
    requireUnlocked(deps, { user: username, roles: state.roles });
    const roles = rolesOf(deps.views, state.roles);
    const grant = grantOf({ username, roles, traits, ttlSeconds, isLocked: lockedLogins(deps) });
    return { status: 'granted', lifeId: life.id, roles, traits, grant };
  } catch (e) {
    if (!isCoded(e)) throw e;
    return { status: 'refused', reason: e };
  }
}

/**
 * Every attempt does the same work and ends in one durable append, whoever it is for. The fact of a login
 * contains the certificate it is given: no code is spent without a certificate, and none is issued that the
 * log does not have.
 * @throws CodedError `wrongCredentials`; `access_denied` for a user who may log in, but has no login
 *   anywhere.
 */
async function prove(
  deps: AuthDeps,
  call: Call,
  { input, asOf }: { readonly input: Input; readonly asOf: AttemptAsOf },
): Promise<Granted> {
  const { entry, proof, stream } = await examineClaim(deps, call, input);
  const cause = causeOf(deps, call);
  const plan = entry && proof.password.status === 'matched' ? planFor(deps, entry, input) : undefined;
  const refusal = { 'addr.local': proof.addresses.local };
  const attempt: LogIn = { type: 'log-in', ...proof, ...certificateIn(plan) };
  const login = { entry, stream, attempt, cause, asOf };
  const { facts, status } = await recordLogin(deps, call, login).catch(async (e: unknown) => {
    // The caller has proved to be this user, and has spent nothing.
    if (plan?.status === 'refused' && isCoded(e, 'access_denied'))
      await tellRefusal(deps, input, cause, { error: e.message, ...refusal });
    throw e;
  });
  // The password that was checked belongs to this very user: an earlier or later user of the name has another
  // `passwordId`. So the plan is this user's.
  if (plan && loginOutcome(facts).status === 'logged_in') return granted(plan);
  if (facts.length === 0)
    await tellRefusal(deps, input, cause, {
      error: unrecordedBecause(status),
      ...refusal,
    });
  throw wrongCredentials(secondFactorOf(deps.views));
}
