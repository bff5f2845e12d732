import type { Decider } from '../log/decider.ts';
import { CodedError } from '../base/errors.ts';
import { decideLogin, type LogIn } from './user-login.ts';
import { decideOwnChange, isOwnChange, type OwnChange } from './user-own-change.ts';
import { userFact, type UserFact } from './user-fact.ts';
import { evolveUser, type UserState } from './user-state.ts';
import { decideUserChange, type UserChange } from './user-change.ts';
import { writerReads } from './writer-reads.ts';

export type UserCommand = UserChange | OwnChange | LogIn;

/**
 * A person who may log in. After deletion the name is free: a user created under it again is a new one, with
 * nothing of the old one.
 */
export const user: Decider<UserState, UserCommand, UserFact> = {
  fact: writerReads(userFact),
  initial: { status: 'absent' },
  decide: (state, command) => {
    if (command.type === 'log-in') {
      requireHere(state);
      return decideLogin(state, command);
    }
    return isOwnChange(command) ? decideOwnChange(state, command) : decideUserChange(state, command);
  },
  evolve: evolveUser,
};

/** @throws CodedError `unavailable`: it has changed at this moment where attempts are recorded. */
function requireHere(state: UserState): void {
  if (state.status === 'active' && state.attempts === 'apart')
    throw new CodedError('unavailable', 'logins of this user are recorded elsewhere from now on, try again');
}
