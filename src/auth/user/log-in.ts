import type { z } from 'zod';
import { logIn as row } from '../../api/operations/user.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import { unprovedName } from '../../base/unproved-text.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import { tlsSecretName } from '../../domain/authority-facts.ts';
import type { SecondFactor } from '../../domain/cluster.ts';
import { userStream } from '../../domain/streams.ts';
import { user } from '../../domain/user.ts';
import { type Grant, otpSeedSecret, passwordHashSecret } from '../../domain/user-fact.ts';
import { type LogIn, loginOutcome, type OtpCheck, type PasswordCheck } from '../../domain/user-login.ts';
import { requestStrategy } from '../../domain/may-request.ts';
import type { RoleSpec, Traits } from '../../domain/role-spec.ts';
import { isKnownSource } from '../../domain/user-state.ts';
import { step, transact } from '../../log/execute.ts';
import type { Cause, Position, Recorded } from '../../log/event.ts';
import { matchOtpStep } from '../../pki/otp.ts';
import { verifyPassword } from '../../pki/password.ts';
import { signerOf } from '../../views/authorities.ts';
import { findUser, type UserEntry } from '../../views/users.ts';
import { timeForUser } from '../deciding-time-of.ts';
import { type AuthDeps, causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { grantOf, readPublicKey, signCertificates } from './issue-certificates.ts';
import type { Comer } from './login-gate.ts';
import { lockedLogins, requireGrantUnlocked, requireUnlocked } from '../lock/in-force.ts';
import { rolesOf, secondFactorOf, signerOfCluster } from '../lookups.ts';
import { sourceOf } from '../limits/rate-limit.ts';

type Input = z.output<typeof row.input>;

/**
 * The same for every reason: unknown, wrong password, wrong code, used code, locked, deleted. Texts of 4.4.
 */
export const wrongCredentials = (secondFactor: SecondFactor): CodedError =>
  new CodedError(
    'access_denied',
    secondFactor === 'off' ? 'invalid username or password' : 'invalid username, password or second factor',
  );

/** Compared with when there is no seed, so that both cases take the same time. */
const noSeed = new Uint8Array(20);

/** A person logs in through a proxy: password, code, then certificates. */
export const logIn = implementing(row, (deps, call, input) => {
  return deps.gate.admit(comerOf(deps, call, input), async () => {
    deps.lag.require();
    // Before anything is spent on it: a code works once.
    const publicKey = readPublicKey(input.publicKey);
    const asOf = await deps.views.fresh();
    const signer = await deps.keys.signer('user');
    const { grant, ...proved } = await prove(deps, call, { input, asOf });
    deps.lag.require();
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
      hostSigners: [signerOfCluster(deps.views, 'host')],
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
  { input, asOf }: { readonly input: Input; readonly asOf: Position },
): Promise<Granted> {
  const secondFactor = secondFactorOf(deps.views);
  const entry = findUser(deps.views.users.state(), input.username);
  const [hash, seed] = await Promise.all([
    unsealOrPretend(deps, entry?.passwordIn, passwordHashSecret),
    unsealOrPretend(deps, entry?.otpIn, otpSeedSecret),
  ]);
  const command = await commandOf(deps, call, { input, entry, hash, seed });
  const cause = causeOf(deps, call);
  const plan = entry && command.password.status === 'matched' ? planFor(deps, entry, input) : undefined;
  const refusal = { 'addr.local': command.addresses.local };
  const { position, outcomes } = await transact(
    deps.log.state,
    [
      step(
        user,
        // Only a name that is in the fold may become part of a stream's name.
        userStream(entry?.state.username ?? 'no such user'),
        { ...command, ...certificateIn(plan) },
      ),
    ],
    cause,
    termsOf(call, asOf),
  ).catch(async (e: unknown) => {
    // The caller has proved to be this user, and has spent nothing.
    if (plan?.status === 'refused' && isCoded(e, 'access_denied'))
      await tellRefusal(deps, input, cause, { error: e.message, ...refusal });
    throw e;
  });
  const [{ facts, state }] = outcomes;
  if (position !== undefined) await deps.views.reached(position);
  // The password that was checked belongs to this very user: an earlier or later user of the name has another
  // `passwordId`. So the plan is this user's.
  if (plan && loginOutcome(facts).status === 'logged_in') return granted(plan);
  if (facts.length === 0)
    await tellRefusal(deps, input, cause, {
      error: state.status === 'active' ? 'the user is locked' : 'no such user',
      ...refusal,
    });
  throw wrongCredentials(secondFactor);
}

/** The source by which failures are counted; undefined where everybody has that address, or it is unknown. */
function sourceOfLogin({
  clientAddress,
  addressIsShared,
}: Pick<Input, 'clientAddress' | 'addressIsShared'>): string | undefined {
  const source = sourceOf(clientAddress);
  return addressIsShared === true || source === '' ? undefined : source;
}

/** Uses only what is in memory: an attempt that is turned away must cost nothing. */
function comerOf(deps: AuthDeps, { deadline }: Call, input: Input): Comer {
  const { username, clientAddress, addressIsShared } = input;
  const entry = findUser(deps.views.users.state(), username);
  return {
    address: clientAddress,
    wants: 'login',
    claims: addressIsShared === true ? username : undefined,
    name: username,
    known: entry !== undefined && isKnownSource(entry.state, sourceOfLogin(input)),
    deadline,
  };
}

interface Looked {
  readonly input: Input;
  readonly entry: UserEntry | undefined;
  /** Of the current password. */
  readonly hash: Uint8Array | undefined;
  readonly seed: Uint8Array | undefined;
}

/**
 * The results of the checks, and the time by which the login is decided. Failures and locks that were written
 * while the password was checked have no age here: they count as new.
 */
async function commandOf(deps: AuthDeps, call: Call, { input, entry, hash, seed }: Looked): Promise<LogIn> {
  const password = await checkPassword(entry, hash, input.password);
  const time = timeForUser(deps, input.username, entry?.state ?? user.initial);
  const otp = checkOtp(entry, seed, input.otp, Date.parse(time.now));
  const secondFactor = secondFactorOf(deps.views);
  return {
    type: 'log-in',
    ...time,
    password,
    otp: secondFactor === 'off' ? { status: 'not_required' } : otp,
    addresses: { remote: input.clientAddress, local: call.caller.address },
    source: sourceOfLogin(input),
  };
}

/** The caller gets the same message whether the audit stores the event or not; if not, it is counted. */
async function tellRefusal(
  deps: AuthDeps,
  { username, clientAddress }: Input,
  cause: Cause,
  fields: { readonly error: string; readonly 'addr.local': string },
): Promise<void> {
  if (!deps.gate.mayTell(clientAddress)) return;
  const event = catalogue.userLoginFailure({
    user: unprovedName(username),
    method: 'local',
    success: false,
    'addr.remote': clientAddress,
    ...fields,
  });
  try {
    await deps.ownAudit.record(event, cause);
  } catch (e) {
    if (!isCoded(e)) throw e;
    deps.gate.untold(clientAddress);
    deps.sink.warn('a refused login is only counted: the audit does not take it', {
      reason: e.message,
      ...event,
    });
  }
}

async function checkPassword(
  entry: UserEntry | undefined,
  hash: Uint8Array | undefined,
  password: string,
): Promise<PasswordCheck> {
  const id = entry?.state.passwordId ?? undefined;
  const matches = await verifyPassword(hash && Buffer.from(hash).toString(), password);
  return matches && id !== undefined ? { status: 'matched', id } : { status: 'wrong' };
}

function checkOtp(
  entry: UserEntry | undefined,
  seed: Uint8Array | undefined,
  code: string,
  nowMs: number,
): OtpCheck {
  const id = entry?.state.otp?.id;
  const step = matchOtpStep(seed ?? noSeed, code, nowMs);
  if (code === '') return { status: 'absent' };
  return seed && id !== undefined && step !== undefined
    ? { status: 'matched', id, step }
    : { status: 'wrong' };
}

/**
 * When there is no seed, something else is opened and discarded: the vault's delay must not reveal who
 * exists.
 */
async function unsealOrPretend(
  deps: AuthDeps,
  event: Recorded | null | undefined,
  name: string,
): Promise<Uint8Array | undefined> {
  if (event)
    return deps.log.state.unseal(event, name).catch((e: unknown) => {
      // Replaced in the meantime: the rules of the user refuse it as well.
      if (isCoded(e, 'not_found')) return undefined;
      throw e;
    });
  const { key, sealedIn } = signerOf(deps.views.authorities.state(), 'user');
  if (sealedIn) await deps.log.state.unseal(sealedIn, tlsSecretName(key.keyId));
  return undefined;
}
