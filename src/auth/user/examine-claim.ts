import type { Claim } from '../../api/operations/user.ts';
import type { Call } from '../../api/server-deps.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import { unprovedName } from '../../base/unproved-text.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import { tlsSecretName } from '../../domain/authority-facts.ts';
import type { SecondFactor } from '../../domain/cluster.ts';
import { userStream } from '../../domain/streams.ts';
import { user } from '../../domain/user.ts';
import { otpSeedSecret, passwordHashSecret } from '../../domain/user-fact.ts';
import type { OtpCheck, PasswordCheck, Proof } from '../../domain/user-login.ts';
import { isKnownSource } from '../../domain/user-state.ts';
import type { Cause, Recorded, StreamName } from '../../log/event.ts';
import { matchOtpStep } from '../../pki/otp.ts';
import { verifyPassword } from '../../pki/password.ts';
import { signerOf } from '../../views/authorities.ts';
import { findUser, type UserEntry } from '../../views/users.ts';
import { timeForUser } from '../deciding-time-of.ts';
import type { AuthDeps } from '../deps.ts';
import { sourceOf } from '../limits/rate-limit.ts';
import { secondFactorOf } from '../lookups.ts';
import { addressesOf } from './addresses-of.ts';
import type { Comer } from './login-gate.ts';
import { userNow } from './user-now.ts';

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

/** The source by which failures are counted; undefined where everybody has that address, or it is unknown. */
function sourceOfClaim({
  clientAddress,
  addressIsShared,
}: Pick<Claim, 'clientAddress' | 'addressIsShared'>): string | undefined {
  const source = sourceOf(clientAddress);
  return addressIsShared === true || source === '' ? undefined : source;
}

/** Uses only what is in memory: an attempt that is turned away must cost nothing. */
export function comerOf(deps: AuthDeps, { deadline }: Call, claim: Claim): Comer {
  const { username, clientAddress, addressIsShared } = claim;
  const entry = findUser(deps.views.users.state(), username);
  return {
    address: clientAddress,
    wants: 'login',
    claims: addressIsShared === true ? username : undefined,
    name: username,
    known: entry !== undefined && isKnownSource(userNow(deps, entry), sourceOfClaim(claim)),
    deadline,
  };
}

export interface Examined {
  /** Undefined: nobody has this name. */
  readonly entry: UserEntry | undefined;
  readonly proof: Proof;
  /** Where it is decided. */
  readonly stream: StreamName;
}

/**
 * Checks password and code, with the same work for any claim: for a name that nobody has, too. Failures and
 * locks that were written while the password was checked have no age here: they count as new.
 */
export async function examineClaim(deps: AuthDeps, call: Call, claim: Claim): Promise<Examined> {
  const entry = findUser(deps.views.users.state(), claim.username);
  const [hash, seed] = await Promise.all([
    unsealOrPretend(deps, entry?.passwordIn, passwordHashSecret),
    unsealOrPretend(deps, entry?.otpIn, otpSeedSecret),
  ]);
  const password = await checkPassword(entry, hash, claim.password);
  const time = timeForUser(deps, claim.username, entry ? userNow(deps, entry) : user.initial);
  const otp = checkOtp(entry, seed, claim.otp, Date.parse(time.now));
  return {
    entry,
    // Only a name that is in the fold may become part of a stream's name.
    stream: userStream(entry?.state.username ?? 'no such user'),
    proof: {
      ...time,
      password,
      otp: secondFactorOf(deps.views) === 'off' ? { status: 'not_required' } : otp,
      addresses: addressesOf(claim, call),
      source: sourceOfClaim(claim),
    },
  };
}

/** Why an attempt is reported in the audit where no fact reports it: the log does not grow by strangers. */
export const unrecordedBecause = (status: 'active' | 'absent'): string =>
  status === 'active' ? 'the user is locked' : 'no such user';

/** The caller gets the same message whether the audit stores the event or not; if not, it is counted. */
export async function tellRefusal(
  deps: AuthDeps,
  { username, clientAddress, balancerAddress }: Claim,
  cause: Cause,
  fields: { readonly error: string; readonly 'addr.local': string },
): Promise<void> {
  if (!deps.gate.mayTell(clientAddress)) return;
  const event = catalogue.userLoginFailure({
    user: unprovedName(username),
    method: 'local',
    success: false,
    'addr.remote': clientAddress,
    ...(balancerAddress === undefined ? {} : { 'addr.balancer': balancerAddress }),
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
