import { z } from 'zod';
import { instant } from '../base/time.ts';
import type { Decider } from '../log/decider.ts';
import type { UserFact } from './user-fact.ts';
import { addresses, userFact } from './user-fact.ts';
import { decideLogin, decideProof, type LogIn, type Proof, provedFact } from './user-login.ts';
import {
  type ActiveUser,
  type AttemptFact,
  cleared,
  type Era,
  evolveTries,
  isAttempt,
  type Tries,
} from './user-state.ts';
import { writerReads } from './writer-reads.ts';

/*
 * Attempts to log in, of users whose attempts are recorded apart from them: in the partition `attempts`,
 * which is trimmed. They decide for minutes; what happened is then told by the audit. docs/rfd/0045
 */

const text = z.string();
const natural = z.number().int().nonnegative();
const nameLock = z.object({ until: instant, reason: text, forMs: natural.optional() });
const era = z.object({ cleared: natural, forgotten: natural });
const otp = z.object({ id: text, lastStep: natural }).nullable();

/** What the attempts that follow add to: of a user as it is on the log in `state` now. */
const begun = z.object({
  type: z.literal('attempts.begun'),
  data: z.object({
    era,
    otp,
    failures: z.array(z.object({ at: instant, source: text.nullable() })),
    lock: nameLock.nullable(),
    sourceLocks: z.array(nameLock.extend({ source: text })),
    knownSources: z.array(text),
  }),
});

/**
 * A login that was recorded, and got no certificate: the user was changed between. `reason` is for operators.
 */
export const withdrawnFact = z.object({
  type: z.literal('attempts.login_withdrawn'),
  data: z.object({ reason: text, addresses }),
});

/** Without what was recorded around them. */
export const attemptsAmong = (facts: readonly LoginAttemptFact[]): readonly AttemptFact[] =>
  facts.filter(isAttempt);

const ofUser = userFact.refine((fact) => isAttempt(fact), 'not an attempt to log in');
export const loginAttemptFact = z.union([begun, withdrawnFact, ofUser]);
export type BegunFact = z.infer<typeof begun>;
export type WithdrawnFact = z.infer<typeof withdrawnFact>;
export type LoginAttemptFact = BegunFact | WithdrawnFact | AttemptFact;

/** Null: there was none yet. */
export type LoginAttempts = (Tries & Pick<ActiveUser, 'era' | 'otp'>) | null;

/** A person gives password and code for something else than a login. `method`: for what. */
export interface Prove extends Proof {
  readonly type: 'prove';
  readonly method: string;
}

/** What is decided about the attempts of this user, as it is on the log in `state`. */
export type LoginAttemptCommand =
  | { readonly type: 'attempt'; readonly user: ActiveUser; readonly attempt: LogIn | Prove }
  | { readonly type: 'withdraw'; readonly reason: string; readonly addresses: Proof['addresses'] };

export const loginAttempts: Decider<LoginAttempts, LoginAttemptCommand, LoginAttemptFact> = {
  fact: writerReads(loginAttemptFact),
  initial: null,
  decide(before, command) {
    if (command.type === 'withdraw')
      return [
        { type: 'attempts.login_withdrawn', data: { reason: command.reason, addresses: command.addresses } },
      ];
    const user = userWithAttempts(command.user, before);
    const facts = decideAttempt(user, command.attempt).filter(isAttempt);
    return facts.length === 0 || isOf(before, user) ? facts : [beginWith(user), ...facts];
  },
  evolve(before, fact) {
    switch (fact.type) {
      case 'attempts.begun':
        return fact.data;
      case 'attempts.login_withdrawn':
        return before;
      case 'user.logged_in':
      case 'user.login_refused':
      case 'user.locked':
        return before === null ? null : evolveTries(before, fact);
    }
  },
};

const decideAttempt = (user: ActiveUser, attempt: LogIn | Prove): readonly UserFact[] =>
  attempt.type === 'log-in'
    ? decideLogin(user, attempt)
    : decideProof(user, attempt, () => [provedFact(attempt, attempt.method)]);

/** Whether what was recorded goes on for the user as it is. */
const isOf = (attempts: LoginAttempts, { era: now, otp: device }: ActiveUser): boolean =>
  attempts !== null && sameEra(attempts.era, now) && attempts.otp?.id === device?.id;

const sameEra = (a: Era, b: Era): boolean => a.cleared === b.cleared && a.forgotten === b.forgotten;

const beginWith = ({ era: now, otp: device, ...user }: ActiveUser): BegunFact => ({
  type: 'attempts.begun',
  data: {
    era: now,
    otp: device && { ...device },
    failures: user.failures.map((one) => ({ ...one })),
    lock: user.lock && { ...user.lock },
    sourceLocks: user.sourceLocks.map((one) => ({ ...one })),
    knownSources: [...user.knownSources],
  },
});

/**
 * The user with what its attempts have led to: which failures count, what is locked, where it is known, and
 * which codes are spent. Of attempts that were recorded before its tries were ended nothing is left.
 */
export function userWithAttempts(user: ActiveUser, attempts: LoginAttempts | undefined): ActiveUser {
  if (user.attempts === 'here' || attempts === undefined || attempts === null) return user;
  const { failures, lock, sourceLocks, knownSources, era: then, otp: used } = attempts;
  return {
    ...user,
    ...(then.cleared < user.era.cleared ? cleared : { failures, lock, sourceLocks }),
    ...(then.forgotten < user.era.forgotten ? {} : { knownSources }),
    otp:
      user.otp !== null && used?.id === user.otp.id
        ? { ...user.otp, lastStep: Math.max(user.otp.lastStep, used.lastStep) }
        : user.otp,
  };
}
