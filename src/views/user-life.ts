import { clockToleranceMs } from '../base/clock-tolerance.ts';
import { msBetween, second } from '../base/time.ts';
import { findUser, isUnreadableUser, type UserEntry, type UsersState } from './users.ts';

/** What a checked certificate contains about its user. */
export interface PresentedUser {
  readonly username: string;
  /**
   * The life of the user for which it was issued; empty in certificates of older releases, and of the format
   * `oldssh`.
   */
  readonly lifeId: string;
  /** When its validity began, in milliseconds since 1970. */
  readonly validFromMs: number;
}

export type UserStanding =
  | { readonly status: 'present'; readonly user: UserEntry }
  | { readonly status: 'absent' }
  /**
   * The user exists, but a newer release wrote a fact about it that this one cannot read: it may have been
   * locked or deleted.
   */
  | { readonly status: 'unreadable' }
  /** It was issued to an earlier user of that name, who was deleted; or that cannot be ruled out. */
  | { readonly status: 'of_earlier' };

const epoch = '1970-01-01T00:00:00.000Z';

/**
 * Whether a certificate in a name may still be used: the user exists, and is the one that it was issued to.
 * Auth, proxies and nodes all ask this. Failed logins lock the password and not what was earned with it
 * before, or anyone who knows a name could cut its owner off: docs/rfd/0007.
 *
 * The event that created a user distinguishes users of one name, so this depends on the order of the log and
 * on no clock. Where a certificate does not name that event, there must have been only one user of this name
 * ever, or its time of issue is compared with that of the creation. The log never dates that before the last
 * login of the earlier user, however wrong a clock was, so this errs by refusing.
 */
export function userStandingOf(
  users: UsersState,
  { username, lifeId, validFromMs }: PresentedUser,
): UserStanding {
  const user = findUser(users, username);
  if (user === undefined) return { status: isUnreadableUser(users, username) ? 'unreadable' : 'absent' };
  const isSame =
    lifeId === ''
      ? user.life.isFirst || validFromMs + clockToleranceMs + second > msBetween(epoch, user.createdAt)
      : lifeId === user.life.id;
  return isSame ? { status: 'present', user } : { status: 'of_earlier' };
}

/**
 * What a person is told whose connections end because the user was deleted; undefined where it was not. A
 * later user of the name is another one.
 */
export function deletionText(users: UsersState, presented: PresentedUser): string | undefined {
  const { status } = userStandingOf(users, presented);
  const isGone = status === 'absent' || status === 'of_earlier';
  return isGone ? `user ${JSON.stringify(presented.username)} has been deleted` : undefined;
}
