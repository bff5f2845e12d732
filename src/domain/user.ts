import type { Decider } from '../log/decider.ts';
import { decideLogin, type LogIn } from './user-login.ts';
import { userFact, type UserFact } from './user-fact.ts';
import type { UserState } from './user-state.ts';
import { evolveUser } from './user-state.ts';
import { decideUserChange, type UserChange } from './user-change.ts';
import { writerReads } from './writer-reads.ts';

export type UserCommand = UserChange | LogIn;

/**
 * A person who may log in. Once deleted, the name is free: creating it again begins a new life with nothing
 * of the old.
 */
export const user: Decider<UserState, UserCommand, UserFact> = {
  fact: writerReads(userFact),
  initial: { status: 'absent' },
  decide: (state, command) =>
    command.type === 'log-in' ? decideLogin(state, command) : decideUserChange(state, command),
  evolve: evolveUser,
};
