import type { Call } from '../../api/server-deps.ts';
import { CodedError } from '../../base/errors.ts';
import { attemptsAmong, loginAttempts, type Prove } from '../../domain/login-attempts.ts';
import { user } from '../../domain/user.ts';
import type { UserFact } from '../../domain/user-fact.ts';
import { isStillProved, type LogIn, loginOutcome } from '../../domain/user-login.ts';
import type { ActiveUser, UserState } from '../../domain/user-state.ts';
import { load, step, transact } from '../../log/execute.ts';
import type { Cause, Position, StreamName } from '../../log/event.ts';
import { findUser, type UserEntry } from '../../views/users.ts';
import { type AuthDeps, termsOf } from '../deps.ts';
import { secondFactorOf } from '../lookups.ts';
import { wrongCredentials } from './examine-claim.ts';

/** The heads of the log when the caller was let in. */
export interface AttemptAsOf {
  readonly state: Position;
  readonly attempts: Position;
}

/** Everything that is known of users and of their attempts now, whichever auth server wrote it. */
export async function freshForAttempt({ views }: Pick<AuthDeps, 'views'>): Promise<AttemptAsOf> {
  const reading = views.freshAttempts();
  // Why `state` cannot be read is the better reason.
  reading.catch(() => undefined);
  const state = await views.fresh();
  return { state, attempts: await reading };
}

/** Somebody claims to be a user. */
export interface Attempt<A extends LogIn | Prove = LogIn | Prove> {
  /** Undefined: nobody has this name. */
  readonly entry: UserEntry | undefined;
  readonly stream: StreamName;
  readonly attempt: A;
  readonly cause: Cause;
  readonly asOf: AttemptAsOf;
}

export interface RecordedAttempt {
  readonly facts: readonly UserFact[];
  /** Of the user. */
  readonly status: 'active' | 'absent';
}

/** One durable append, whoever it is for, where the attempts of this user are recorded. */
export async function recordLogin(
  deps: AuthDeps,
  call: Call,
  login: Attempt<LogIn>,
): Promise<RecordedAttempt> {
  if (login.entry?.state.attempts === 'apart')
    return recordApart(deps, call, { ...login, entry: login.entry });
  const { stream, attempt, cause, asOf } = login;
  const terms = termsOf(call, asOf.state);
  const { position, outcomes } = await transact(deps.log.state, [step(user, stream, attempt)], cause, terms);
  const [{ facts, state }] = outcomes;
  if (position !== undefined) await deps.views.reached(position);
  return { facts, status: state.status };
}

/**
 * In the partition `attempts`. What was proved must hold for the user as it is on the log in `state` after
 * that: whatever was changed there before this returns admits nobody.
 * @throws CodedError `access_denied` as for a claim that does not hold, `unavailable` where the roles were
 *   changed at this moment; then the login is recorded as one that got nothing.
 */
export async function recordApart(
  deps: AuthDeps,
  call: Call,
  { entry, stream, attempt, cause, asOf }: Attempt & { readonly entry: UserEntry },
): Promise<RecordedAttempt> {
  const { log, views } = deps;
  const before = await userAsOf(deps, stream, asOf.state);
  if (before.status === 'absent') return { facts: [], status: 'absent' };
  const command = { type: 'attempt', user: before, attempt } as const;
  const terms = termsOf(call, asOf.attempts);
  const { position, outcomes } = await transact(
    log.attempts,
    [step(loginAttempts, stream, command)],
    cause,
    terms,
  );
  const [{ facts }] = outcomes;
  const told = attemptsAmong(facts);
  if (position === undefined) return { facts: told, status: 'active' };
  deps.attemptsTeller.soon();
  await views.attempts.reached(position);
  if (loginOutcome(told).status === 'logged_in') {
    const now = await userAsOf(deps, stream, await views.fresh());
    const isSame = findUser(views.users.state(), before.username)?.life.id === entry.life.id;
    const change = changedSince(before, isSame ? now : undefined, attempt);
    if (change !== undefined) {
      const { addresses } = attempt;
      const withdraw = { type: 'withdraw', reason: change.why, addresses } as const;
      await transact(log.attempts, [step(loginAttempts, stream, withdraw)], cause);
      throw change.error(deps);
    }
  }
  return { facts: told, status: 'active' };
}

/**
 * By the rules of its own stream, which has to be understood whole: a view passes over what it does not know.
 * @throws CodedError `unavailable` where a newer release wrote something about this user.
 */
const userAsOf = async (
  { log }: Pick<AuthDeps, 'log'>,
  stream: StreamName,
  asOf: Position,
): Promise<UserState> => (await load(log.state, user, stream, asOf)).state;

interface Change {
  /** For operators. */
  readonly why: string;
  readonly error: (deps: AuthDeps) => CodedError;
}

function changedSince(
  before: ActiveUser,
  now: UserState | undefined,
  attempt: LogIn | Prove,
): Change | undefined {
  if (now?.status !== 'active' || !isStillProved(now, attempt))
    return {
      why: 'the user was deleted or reset, or its password or device was changed, at this moment',
      error: ({ views }) => wrongCredentials(secondFactorOf(views)),
    };
  if (attempt.type === 'log-in' && !sameAccess(before, now))
    return {
      why: 'the roles of this user were changed at this moment',
      error: () =>
        new CodedError('unavailable', 'the roles of this user were changed at this moment, try again'),
    };
  return undefined;
}

const sameAccess = (a: ActiveUser, b: ActiveUser): boolean =>
  JSON.stringify([a.roles, a.traits]) === JSON.stringify([b.roles, b.traits]);
