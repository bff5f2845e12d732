import { unreachable } from '../base/errors.ts';
import { type Instant, minute } from '../base/time.ts';
import { type DecidingTime, endOf, leftMs, type Span } from './deciding-time.ts';
import type { Traits } from './role-spec.ts';
import type { UserFact } from './user-fact.ts';

/** This many failures from one address lock the user for that address. */
export const maxFailuresOfSource = 5;
/**
 * This many failures, from any addresses, lock the user for all addresses except those it logged in from.
 * Older failures do not count.
 */
export const maxFailures = 50;
/** How long a lock by failures lasts. */
export const lockMs = 20 * minute;
/** How many sources are remembered for each user: where it logged in last, and where it is locked. */
const maxKnownSources = 8;
const maxSourceLocks = 32;

export interface Failure {
  readonly at: Instant;
  /** Null: not known; or the failure has locked its source already, and counts for the user alone. */
  readonly source: string | null;
}

interface NameLock {
  readonly until: Instant;
  readonly reason: string;
  readonly forMs?: number | undefined;
}

/** What decides for minutes: which attempts failed, and what they locked. */
export interface Tries {
  /**
   * The last failures that were not followed by a login from their source or by the end of a lock, oldest
   * first, at most `maxFailures`.
   */
  readonly failures: readonly Failure[];
  /** For everywhere except `knownSources`. In force only for its time: ask `lockOf`, `isLockedFor`. */
  readonly lock: NameLock | null;
  /** For one source each, the newest last. */
  readonly sourceLocks: readonly (NameLock & { readonly source: string })[];
  /** Where this user logged in from last, the newest last. */
  readonly knownSources: readonly string[];
}

/**
 * How often something about the user ended all tries before it: attempts that were recorded before the last
 * of these count for nothing. Goes on counting when the name is given again.
 */
export interface Era {
  /** By a new user, a new password, an end of locks: no failure and no lock of before is left. */
  readonly cleared: number;
  /** By a new user, and where the password may have been known to others: no source is known. */
  readonly forgotten: number;
}

/**
 * Where attempts to log in are recorded: with the user, as releases did that had no other place; or in the
 * partition `attempts`, once `user.attempts_apart` says so. Then the tries here are what it begins with.
 */
export type AttemptsAt = 'here' | 'apart';

/** What remains of users who had this name. */
interface Before {
  readonly attempts: AttemptsAt;
  readonly era: Era;
}
const never: Before = { attempts: 'here', era: { cleared: 0, forgotten: 0 } };

export interface ActiveUser extends Tries {
  readonly status: 'active';
  readonly attempts: AttemptsAt;
  readonly era: Era;
  readonly username: string;
  readonly roles: readonly string[];
  readonly traits: Traits;
  /** The link that may set credentials now; null when there is none. */
  readonly invite: { readonly hash: string; readonly expiresAt: Instant } | null;
  /** Ids of the current password and seed; null when there is none. */
  readonly passwordId: string | null;
  /** `lastStep` and all earlier ones are spent. */
  readonly otp: { readonly id: string; readonly lastStep: number } | null;
}
/** `before`: left out where nobody ever had the name. */
export type UserState = { readonly status: 'absent'; readonly before?: Before } | ActiveUser;

export type Lock =
  | { readonly status: 'active' }
  | {
      readonly status: 'locked';
      readonly until: Instant;
      readonly reason: string;
      /** Where logins are refused from. Left out: everywhere except where the user logged in before. */
      readonly from?: string[];
    };

/**
 * Whether logins are locked now, from anywhere. For operators only: a person at the login prompt must not be
 * able to find out.
 */
export function lockOf(state: UserState, time: DecidingTime): Lock {
  if (state.status === 'absent') return { status: 'active' };
  const { lock, sourceLocks } = state;
  if (lock && holds(lock, time))
    return { status: 'locked', until: endOf(lockSpan(lock), time), reason: lock.reason };
  const held = sourceLocks.filter((one) => holds(one, time));
  const [first, ...others] = held.map((one) => ({ ...one, until: endOf(lockSpan(one), time) }));
  if (first === undefined) return { status: 'active' };
  const last = others.reduce((latest, one) => (one.until > latest.until ? one : latest), first);
  const from = held.map(({ source }) => source);
  return { status: 'locked', until: last.until, reason: last.reason, from };
}

/** Whether a login from this source is refused without a check. */
export function isLockedFor(state: ActiveUser, source: string | undefined, time: DecidingTime): boolean {
  if (state.sourceLocks.some((one) => one.source === source && holds(one, time))) return true;
  return state.lock !== null && !isKnownSource(state, source) && holds(state.lock, time);
}

/** Whether this user logged in from there before. */
export const isKnownSource = (state: ActiveUser, source: string | undefined): boolean =>
  source !== undefined && state.knownSources.includes(source);

const holds = (lock: NameLock, time: DecidingTime): boolean => leftMs(lockSpan(lock), time) > 0;

export const lockSpan = ({ until, forMs }: Omit<NameLock, 'reason'>): Span => ({
  until,
  lengthMs: forMs ?? lockMs,
});

/** A failure has only a moment, which is also its name. */
export const failureSpan = (at: Instant): Span => ({ until: at, lengthMs: 0 });

/** Everything in a user's state that expires. */
export const spansOfUser = ({ failures, lock, sourceLocks }: ActiveUser): readonly Span[] => [
  ...failures.map(({ at }) => failureSpan(at)),
  ...[...sourceLocks, ...(lock ? [lock] : [])].map(lockSpan),
];

/** No failure counts, and nothing is locked. */
export const cleared = { failures: [], lock: null, sourceLocks: [] } as const;

const clearedIn = ({ cleared: times, forgotten }: Era): Era => ({ cleared: times + 1, forgotten });
const forgottenIn = ({ cleared: times, forgotten }: Era): Era => ({
  cleared: times,
  forgotten: forgotten + 1,
});

export function evolveUser(state: UserState, fact: UserFact): UserState {
  if (fact.type === 'user.created') {
    const { username, roles, traits, before: { attempts, era } = never } = fact.data;
    return {
      status: 'active',
      ...{ attempts, era: forgottenIn(clearedIn(era)) },
      ...{ username, roles, traits },
      invite: null,
      passwordId: null,
      otp: null,
      knownSources: [],
      ...cleared,
    };
  }
  if (state.status === 'absent') return state;
  return isAttempt(fact) ? evolveTries(state, fact) : evolveActive(state, fact);
}

type LaterFact = Exclude<UserFact, AttemptFact | { type: 'user.created' }>;

function evolveActive(state: ActiveUser, fact: LaterFact): UserState {
  switch (fact.type) {
    case 'user.invited':
      return { ...state, invite: { hash: fact.data.inviteHash, expiresAt: fact.data.expiresAt } };
    case 'user.password_reset':
      // Whoever knew the old password may have logged in with it.
      return { ...state, passwordId: null, knownSources: [], era: forgottenIn(state.era) };
    case 'user.password_set':
      return {
        ...withKnownSource(state, fact.data.source),
        ...cleared,
        ...{ passwordId: fact.data.passwordId, invite: null, era: clearedIn(state.era) },
      };
    case 'user.otp_set':
      return { ...state, otp: { id: fact.data.otpId, lastStep: fact.data.usedStep } };
    case 'user.attempts_apart':
      return { ...state, attempts: 'apart' };
    case 'user.unlocked':
      return { ...state, ...cleared, era: clearedIn(state.era) };
    case 'user.roles_changed':
      return { ...state, roles: fact.data.roles };
    case 'user.traits_changed':
      return { ...state, traits: fact.data.traits };
    case 'user.deleted':
      return { status: 'absent', before: { attempts: state.attempts, era: state.era } };
    default:
      return unreachable(fact);
  }
}

const attemptTypes = ['user.logged_in', 'user.login_refused', 'user.locked'] as const;

export const isAttempt = <F extends { readonly type: string }>(
  fact: F,
): fact is Extract<F, { type: (typeof attemptTypes)[number] }> =>
  (attemptTypes as readonly string[]).includes(fact.type);

/** What an attempt of a user is: a login, a failure, and what it locked. */
export type AttemptFact = Extract<
  UserFact,
  { type: 'user.logged_in' | 'user.login_refused' | 'user.locked' }
>;

/** The tries after an attempt, and which code is spent. */
export function evolveTries<T extends Tries & Pick<ActiveUser, 'otp'>>(state: T, fact: AttemptFact): T {
  switch (fact.type) {
    case 'user.logged_in':
      return { ...loggedInFrom(state, fact.data.source), otp: spent(state.otp, fact.data.otp) };
    case 'user.login_refused':
      return { ...state, failures: [...state.failures, failureIn(fact.data)].slice(-maxFailures) };
    case 'user.locked':
      return locked(state, fact.data);
  }
}

const failureIn = ({ at, source }: { at: Instant; source?: string | undefined }): Failure => ({
  at,
  source: source ?? null,
});

/** Failures end with the lock that they led to; those of one source continue to count for the user. */
function locked<T extends Tries>(
  state: T,
  { source, ...lock }: NameLock & { source?: string | undefined },
): T {
  if (source === undefined) return { ...state, failures: [], lock };
  return {
    ...state,
    failures: state.failures.map((one) => (one.source === source ? { ...one, source: null } : one)),
    sourceLocks: [...state.sourceLocks.filter((one) => one.source !== source), { source, ...lock }].slice(
      -maxSourceLocks,
    ),
  };
}

/**
 * A login ends the failures of its own source, not those of others. Where its source is not known, it ends
 * all.
 */
function loggedInFrom<T extends Tries>(state: T, source: string | undefined): T {
  if (source === undefined) return { ...state, ...cleared };
  const isOther = (one: { readonly source: string | null }): boolean => one.source !== source;
  return {
    ...state,
    failures: state.failures.filter(isOther),
    sourceLocks: state.sourceLocks.filter(isOther),
    knownSources: withSource(state.knownSources, source),
  };
}

const withKnownSource = (state: ActiveUser, source: string | undefined): ActiveUser =>
  source === undefined ? state : { ...state, knownSources: withSource(state.knownSources, source) };

const withSource = (known: readonly string[], source: string): readonly string[] =>
  [...known.filter((one) => one !== source), source].slice(-maxKnownSources);

type UsedOtp = Extract<UserFact, { type: 'user.logged_in' }>['data']['otp'];

const spent = (otp: ActiveUser['otp'], used: UsedOtp): ActiveUser['otp'] =>
  otp && used.status === 'matched' ? { ...otp, lastStep: Math.max(otp.lastStep, used.step) } : otp;
