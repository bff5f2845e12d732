import type { Instant } from '../base/time.ts';
import type { DecidingTime } from '../domain/deciding-time.ts';
import { idInStream } from '../domain/streams.ts';
import { user } from '../domain/user.ts';
import { userFact } from '../domain/user-fact.ts';
import { type ActiveUser, type Lock, lockOf } from '../domain/user-state.ts';
import type { Recorded } from '../log/event.ts';
import { readFact, typesOf } from './read-fact.ts';
import { emptyTable, entriesOf, getIn, removeIn, setIn, type Table, tableFrom, valuesOf } from './table.ts';
import type { Projection } from './view.ts';

export interface UserEntry {
  readonly state: ActiveUser;
  /** For people. The log's own time: one wrong clock can have set it ahead, so that nothing is decided by it alone. */
  readonly createdAt: Instant;
  /** `id`: the event that made the user. `isFirst`: no user had this name before. */
  readonly life: { readonly id: string; readonly isFirst: boolean };
  /** The event whose secret `passwordHash` is in force; null when there is none, or events come without secrets. */
  readonly passwordIn: Recorded | null;
  /** The event whose secret `otpSeed` is in force. */
  readonly otpIn: Recorded | null;
}

export type UsersState = Table<UserEntry>;

const types = typesOf(userFact);

/** Every user that exists now, by name. */
export const usersView: Projection<UsersState> = {
  name: 'users.3',
  initial: emptyTable,
  apply(users, event) {
    const username = idInStream(event.stream, 'user');
    if (username === undefined) return users;
    const fact = readFact(userFact, types, event);
    if (!fact) return users;
    const before = getIn(users, username);
    const state = user.evolve(before?.state ?? user.initial, fact);
    if (state.status === 'absent') return removeIn(users, username);
    const isNew = fact.type === 'user.created' || !before;
    return setIn(users, username, {
      state,
      createdAt: isNew ? event.cause.at : before.createdAt,
      life: isNew ? { id: event.id, isFirst: event.revision === 1 } : before.life,
      passwordIn: secretIn('user.password_set', state.passwordId, isNew ? null : before.passwordIn, event),
      otpIn: secretIn('user.otp_set', state.otp?.id, isNew ? null : before.otpIn, event),
    });
  },
  encode: entriesOf,
  decode: (stored) => tableFrom(stored as [string, UserEntry][]),
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

/** Undefined when there is no such user now. */
export const findUser = (users: UsersState, username: string): UserEntry | undefined =>
  getIn(users, username);

export interface UserSummary {
  readonly username: string;
  readonly roles: string[];
  readonly traits: Record<string, string[]>;
  readonly lock: Lock;
  readonly createdAt: Instant;
}

/** What operators see of all users, sorted by name. */
export const summariesOf = (
  users: UsersState,
  timeFor: (user: ActiveUser) => DecidingTime,
): readonly UserSummary[] =>
  valuesOf(users).map(({ state, createdAt }) => ({
    username: state.username,
    roles: [...state.roles],
    traits: state.traits,
    lock: lockOf(state, timeFor(state)),
    createdAt,
  }));
