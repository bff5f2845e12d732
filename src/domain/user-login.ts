import { CodedError } from '../base/errors.ts';
import { minute, plusMs } from '../base/time.ts';
import { agoMs, type DecidingTime } from './deciding-time.ts';
import type { Traits } from './role-spec.ts';
import { type Addresses, type Grant, type Refusal, refusals, type UserFact } from './user-fact.ts';
import {
  type ActiveUser,
  isLockedFor,
  lockMs,
  maxFailures,
  maxFailuresOfSource,
  type UserState,
} from './user-state.ts';

/** How long one failure counts. */
const failureMemoryMs = 30 * minute;

/**
 * The result of checking a password. `id` is the id of the password it was checked against, as in the user's
 * state: a password that was replaced in the meantime admits nobody.
 */
export type PasswordCheck =
  { readonly status: 'wrong' } | { readonly status: 'matched'; readonly id: string };

/** The result of checking a one-time code. `not_required` only when the cluster's second factor is off. */
export type OtpCheck =
  | { readonly status: 'not_required' }
  | { readonly status: 'absent' }
  | { readonly status: 'wrong' }
  /** `id` is that of the seed; `step` the 30-second step the code belongs to. */
  | { readonly status: 'matched'; readonly id: string; readonly step: number };

/**
 * What somebody who claims to be a user gave. `ages` of the user's failures and of its lock, as the deciding
 * server knows them.
 */
export interface Proof extends DecidingTime {
  readonly password: PasswordCheck;
  readonly otp: OtpCheck;
  readonly addresses: Addresses;
  /**
   * The source by which failures from one address are counted; undefined where it is unknown who shares the
   * address.
   */
  readonly source?: string | undefined;
}

export interface LogIn extends Proof {
  readonly type: 'log-in';
  /**
   * The certificate that this login is to get, and the traits it was made for; or why there can be none. Left
   * out where nothing was proved.
   */
  readonly certificate?:
    | { readonly grant: Grant; readonly traits: Traits }
    | { readonly status: 'impossible'; readonly reason: string };
}

/**
 * Never throws for a login that fails: the failure itself is a fact. `loginOutcome` reads the result. An
 * unknown or locked user produces no fact, so that a guesser cannot make the log grow; `auth` writes those
 * attempts to the audit log. The fact of a login also records its certificate, so that neither exists without
 * the other.
 * @throws CodedError for a login that would otherwise succeed, and then nothing is spent on it: `unavailable`
 *   for a certificate that the user may no longer have, `access_denied` where there can be none.
 */
export const decideLogin = (state: UserState, command: LogIn): readonly UserFact[] =>
  decideProof(state, command, (active) => [provedFact(command, 'local', certificateOf(active, command))]);

/**
 * Whether password and code are still those of the user, where the attempt was recorded elsewhere: that
 * nothing was locked, and the code not spent, has been decided there.
 */
export function isStillProved(
  { passwordId, otp }: Pick<ActiveUser, 'passwordId' | 'otp'>,
  { password, otp: code }: Pick<Proof, 'password' | 'otp'>,
): boolean {
  if (password.status === 'wrong' || password.id !== passwordId) return false;
  return code.status === 'not_required' || (code.status === 'matched' && code.id === otp?.id);
}

/**
 * What `proved` makes of the user, when the proof holds; else the facts of the failure. Whatever a person
 * does with its password counts as one attempt, and is limited as one.
 */
export function decideProof(
  state: UserState,
  proof: Proof,
  proved: (state: ActiveUser) => readonly UserFact[],
): readonly UserFact[] {
  if (state.status === 'absent' || isLockedFor(state, proof.source, proof)) return [];
  const reason = refusalOf(state, proof);
  return reason === undefined ? proved(state) : failed(state, proof, reason);
}

/** Whether it would hold if nothing changes meanwhile and no lock applies. */
export const proofHolds = (state: ActiveUser, proof: Proof): boolean => refusalOf(state, proof) === undefined;

/** Spends the code of the proof. `method`: what it was given for. */
export function provedFact(
  proof: Proof,
  method: string,
  more: { readonly certificate?: Grant } = {},
): UserFact {
  const otp: Extract<UserFact, { type: 'user.logged_in' }>['data']['otp'] =
    proof.otp.status === 'matched' ? { status: 'matched', step: proof.otp.step } : { status: 'not_required' };
  return {
    type: 'user.logged_in',
    data: { method, otp, addresses: proof.addresses, ...sourceIn(proof), ...more },
  };
}

const sourceIn = ({ source }: Proof): { source?: string } => (source === undefined ? {} : { source });

/**
 * Failures from one address lock the user for that address only: otherwise anybody who knows a name could
 * lock its owner out. Only many failures, from many addresses, lock the name, and even then not for addresses
 * from which its owner logged in before. docs/rfd/0007
 */
function failed(state: ActiveUser, command: Proof, reason: Refusal): readonly UserFact[] {
  const { now, addresses, source } = command;
  const at = sourceIn(command);
  const refused: UserFact = { type: 'user.login_refused', data: { reason, at: now, addresses, ...at } };
  const remembered = state.failures.filter((one) => agoMs(one.at, command) < failureMemoryMs);
  const until = plusMs(now, lockMs);
  const lock = (text: string, where: { source?: string }): UserFact => ({
    type: 'user.locked',
    data: { until, forMs: lockMs, reason: text, ...where },
  });
  if (remembered.length + 1 >= maxFailures)
    return [refused, lock(`${maxFailures} failed login attempts`, {})];
  const ofSource = remembered.filter((one) => one.source === source).length + 1;
  return source !== undefined && ofSource >= maxFailuresOfSource
    ? [refused, lock(`${maxFailuresOfSource} failed login attempts in a row`, at)]
    : [refused];
}

function certificateOf(state: ActiveUser, { certificate }: LogIn): { certificate?: Grant } {
  if (certificate === undefined) return {};
  if ('reason' in certificate) throw new CodedError('access_denied', certificate.reason);
  const { grant, traits } = certificate;
  if (!sameJson(grant.roles, state.roles) || !sameJson(traits, state.traits))
    throw new CodedError('unavailable', 'the roles of this user were changed at this moment, try again');
  return { certificate: grant };
}

const sameJson = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

function refusalOf(state: ActiveUser, { password, otp }: Proof): Refusal | undefined {
  if (password.status === 'wrong' || password.id !== state.passwordId) return 'wrong_password';
  switch (otp.status) {
    case 'not_required':
      return undefined;
    case 'absent':
      return 'no_otp';
    case 'wrong':
      return 'wrong_otp';
    case 'matched':
      if (otp.id !== state.otp?.id) return 'wrong_otp';
      return otp.step > state.otp.lastStep ? undefined : 'used_otp';
  }
}

export type LoginOutcome =
  | { readonly status: 'logged_in' }
  /** `refused` without a reason: the user is unknown or locked, and nothing was recorded. */
  | { readonly status: 'refused'; readonly reason: Refusal | 'unknown_or_locked' };

/** What the facts of a `log-in` mean. The caller gets the same message for every reason. */
export function loginOutcome(facts: readonly UserFact[]): LoginOutcome {
  if (facts.some(({ type }) => type === 'user.logged_in')) return { status: 'logged_in' };
  for (const fact of facts)
    if (fact.type === 'user.login_refused')
      return {
        status: 'refused',
        reason: refusals.find((one) => one === fact.data.reason) ?? 'unknown_or_locked',
      };
  return { status: 'refused', reason: 'unknown_or_locked' };
}
