import type { Instant } from '../base/time.ts';
import type { DecidingTime } from '../domain/deciding-time.ts';
import { idInStream } from '../domain/streams.ts';
import { user } from '../domain/user.ts';
import { type UserFact, userFact } from '../domain/user-fact.ts';
import { type ActiveUser, type Lock, lockOf } from '../domain/user-state.ts';
import type { Recorded } from '../log/event.ts';
import {
  type Entities,
  entitiesFrom,
  foldEntity,
  type Folding,
  noEntities,
  storedEntities,
  type StoredEntities,
} from './entities.ts';
import { readFact, typesOf } from './read-fact.ts';
import { entriesOf, getIn } from './table.ts';
import type { Projection } from './view.ts';

export interface UserEntry {
  readonly state: ActiveUser;
  /**
   * For people. The log's own time: one wrong clock may have set it ahead, so that nothing is decided by it
   * alone.
   */
  readonly createdAt: Instant;
  /**
   * `id`: the event that created the user, in the log that it was restored from where it was. `isFirst`: no
   * user had this name before.
   */
  readonly life: { readonly id: string; readonly isFirst: boolean };
  /**
   * The event with the current secret `passwordHash`; null when there is none, or events come without
   * secrets.
   */
  readonly passwordIn: Recorded | null;
  /** The event with the current secret `otpSeed`. */
  readonly otpIn: Recorded | null;
  /**
   * For people, as `createdAt`. Null: never with a password, since then logins are recorded apart, or this
   * reader is not given events of logins.
   */
  readonly lastLoginAt: Instant | null;
}

export type UsersState = Entities<UserEntry>;

const types = typesOf(userFact);

/** Every user that exists now, by name. */
export const usersView: Projection<UsersState> = {
  name: 'users.6',
  initial: noEntities,
  apply(users, event) {
    const username = idInStream(event.stream, 'user');
    if (username === undefined) return users;
    const evolve: Folding<UserEntry, UserFact>['evolve'] = (before, fact) => entryAfter(before, fact, event);
    return foldEntity(users, username, readFact(userFact, types, event), { evolve, settles });
  },
  encode: storedEntities,
  decode: (stored) => entitiesFrom(stored as StoredEntities<UserEntry>),
};

function entryAfter(before: UserEntry | undefined, fact: UserFact, event: Recorded): UserEntry | undefined {
  const state = user.evolve(before?.state ?? user.initial, fact);
  if (state.status === 'absent') return undefined;
  const isNew = fact.type === 'user.created' || !before;
  return {
    state,
    createdAt: isNew ? event.cause.at : before.createdAt,
    life: isNew ? lifeBegunBy(fact, event) : before.life,
    passwordIn: secretIn('user.password_set', state.passwordId, isNew ? null : before.passwordIn, event),
    otpIn: secretIn('user.otp_set', state.otp?.id, isNew ? null : before.otpIn, event),
    lastLoginAt: fact.type === 'user.logged_in' ? event.cause.at : isNew ? null : before.lastLoginAt,
  };
}

/** A user that was restored continues the life that the certificates of before were issued to. */
const lifeBegunBy = (fact: UserFact, { id, revision }: Recorded): UserEntry['life'] =>
  (fact.type === 'user.created' ? fact.data.life : undefined) ?? { id, isFirst: revision === 1 };

/**
 * A new life, or its end, settles everything that could not be read; other facts settle what they replace.
 */
const settles = ({ type }: UserFact, unread: { readonly type: string }): boolean =>
  type === 'user.created' || type === 'user.deleted' || (replacedBy[type]?.includes(unread.type) ?? false);

const replacedBy: Readonly<Partial<Record<UserFact['type'], readonly string[]>>> = {
  'user.invited': ['user.invited'],
  'user.password_set': [
    'user.password_set',
    'user.password_reset',
    'user.invited',
    'user.locked',
    'user.unlocked',
  ],
  'user.otp_set': ['user.otp_set'],
  'user.unlocked': ['user.locked', 'user.unlocked', 'user.login_refused'],
  'user.roles_changed': ['user.roles_changed'],
  'user.traits_changed': ['user.traits_changed'],
};

function secretIn(
  type: string,
  inForce: string | null | undefined,
  before: Recorded | null,
  event: Recorded,
): Recorded | null {
  if (inForce === null || inForce === undefined) return null;
  if (event.fact.type !== type) return before;
  return event.sealed ? event : null;
}

/** Undefined when there is no such user now, or this release cannot read it. */
export const findUser = ({ known }: UsersState, username: string): UserEntry | undefined =>
  getIn(known, username);

/** Whether there is a user of that name that this release cannot read. */
export const isUnreadableUser = ({ unreadable }: UsersState, username: string): boolean =>
  getIn(unreadable, username) !== undefined;

/** Names of the users who have a role, also of those that this release cannot read, sorted. */
export const holdersOf = ({ known, unreadable }: UsersState, role: string): readonly string[] =>
  [
    ...entriesOf(known).filter(([, { state }]) => state.roles.includes(role)),
    ...entriesOf(unreadable).filter(([, { last }]) => last?.state.roles.includes(role) === true),
  ]
    .map(([username]) => username)
    .sort();

export interface UserSummary {
  readonly username: string;
  readonly roles: string[];
  readonly traits: Record<string, string[]>;
  readonly lock: Lock;
  readonly createdAt: Instant;
  /** Whether there is a code device. */
  readonly secondFactor: 'otp' | 'none';
  readonly lastLoginAt: Instant | null;
}

/** What operators see of users. */
export const summariesOf = (
  users: readonly UserEntry[],
  timeFor: (user: ActiveUser) => DecidingTime,
): readonly UserSummary[] =>
  users.map(({ state, createdAt, lastLoginAt }) => ({
    username: state.username,
    roles: [...state.roles],
    traits: state.traits,
    lock: lockOf(state, timeFor(state)),
    createdAt,
    secondFactor: state.otp === null ? 'none' : 'otp',
    lastLoginAt,
  }));
