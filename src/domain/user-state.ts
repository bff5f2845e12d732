import { unreachable } from '../base/errors.ts';
import { type Instant, minute } from '../base/time.ts';
import { type DecidingTime, endOf, leftMs, type Span } from './deciding-time.ts';
import type { Traits } from './role-spec.ts';
import type { UserFact } from './user-fact.ts';

/** Failures that can lock: older ones than these do not matter. */
export const maxFailures = 5;
/** How long the lock by failures lasts. */
export const lockMs = 20 * minute;

export interface ActiveUser {
  readonly status: 'active';
  readonly username: string;
  readonly roles: readonly string[];
  readonly traits: Traits;
  /** The link that may set credentials now; null when none is out. */
  readonly invite: { readonly hash: string; readonly expiresAt: Instant } | null;
  /** Which password and seed are in force; null when there is none. */
  readonly passwordId: string | null;
  /** `lastStep` and all before it are spent. */
  readonly otp: { readonly id: string; readonly lastStep: number } | null;
  /** Moments of the last failures in a row, oldest first, at most `maxFailures`. */
  readonly failures: readonly Instant[];
  /** Counts only for its time: ask `lockOf`. */
  readonly lock: {
    readonly until: Instant;
    readonly reason: string;
    readonly forMs?: number | undefined;
  } | null;
}
export type UserState = { readonly status: 'absent' } | ActiveUser;

export type Lock =
  | { readonly status: 'active' }
  | { readonly status: 'locked'; readonly until: Instant; readonly reason: string };

/** Whether the user is locked now. For operators: a person at the login prompt must not be able to tell. */
export function lockOf(state: UserState, time: DecidingTime): Lock {
  if (state.status === 'absent' || !state.lock) return { status: 'active' };
  const span = lockSpan(state.lock);
  return leftMs(span, time) > 0
    ? { status: 'locked', until: endOf(span, time), reason: state.lock.reason }
    : { status: 'active' };
}

export const lockSpan = ({ until, forMs }: Omit<NonNullable<ActiveUser['lock']>, 'reason'>): Span => ({
  until,
  lengthMs: forMs ?? lockMs,
});

/** A failure is a moment: it is named by it. */
export const failureSpan = (at: Instant): Span => ({ until: at, lengthMs: 0 });

/** What of a user grows old. */
export const spansOfUser = ({ failures, lock }: ActiveUser): readonly Span[] => [
  ...failures.map(failureSpan),
  ...(lock ? [lockSpan(lock)] : []),
];

const cleared = { failures: [], lock: null } as const;

export function evolveUser(state: UserState, fact: UserFact): UserState {
  if (fact.type === 'user.created')
    return {
      status: 'active',
      ...fact.data,
      invite: null,
      passwordId: null,
      otp: null,
      ...cleared,
    };
  return state.status === 'active' ? evolveActive(state, fact) : state;
}

type LaterFact = Exclude<UserFact, { type: 'user.created' }>;

function evolveActive(state: ActiveUser, fact: LaterFact): UserState {
  switch (fact.type) {
    case 'user.invited':
      return { ...state, invite: { hash: fact.data.inviteHash, expiresAt: fact.data.expiresAt } };
    case 'user.password_reset':
      return { ...state, passwordId: null };
    case 'user.password_set':
      return { ...state, ...cleared, passwordId: fact.data.passwordId, invite: null };
    case 'user.otp_set':
      return { ...state, otp: { id: fact.data.otpId, lastStep: fact.data.usedStep } };
    case 'user.logged_in':
      return { ...state, ...cleared, otp: spent(state.otp, fact.data.otp) };
    case 'user.login_refused':
      return { ...state, failures: [...state.failures, fact.data.at].slice(-maxFailures) };
    case 'user.locked':
      return { ...state, lock: fact.data };
    case 'user.unlocked':
      return { ...state, ...cleared };
    case 'user.roles_changed':
      return { ...state, roles: fact.data.roles };
    case 'user.traits_changed':
      return { ...state, traits: fact.data.traits };
    case 'user.deleted':
      return { status: 'absent' };
    default:
      return unreachable(fact);
  }
}

type UsedOtp = Extract<UserFact, { type: 'user.logged_in' }>['data']['otp'];

const spent = (otp: ActiveUser['otp'], used: UsedOtp): ActiveUser['otp'] =>
  otp && used.status === 'matched' ? { ...otp, lastStep: Math.max(otp.lastStep, used.step) } : otp;
