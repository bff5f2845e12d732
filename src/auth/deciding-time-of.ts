import { type DecidingTime } from '../domain/deciding-time.ts';
import { inviteSpan, type InviteState } from '../domain/invite.ts';
import { tokenSpan, type TokenState } from '../domain/join-token.ts';
import { inviteStream, tokenStream, userStream } from '../domain/streams.ts';
import { spansOfUser, type UserState } from '../domain/user-state.ts';
import type { AuthDeps } from './deps.ts';

/**
 * The time by which this server decides about a user, a token or an invite, with how long it has known of
 * everything in it that expires.
 */
type Deps = Pick<AuthDeps, 'views' | 'world'>;

/** `state` with its attempts (`userNow`). */
export const timeForUser = ({ views, world }: Deps, username: string, state: UserState): DecidingTime => ({
  now: world.now(),
  ages: views.heardOfUsers(userStream(username), state.status === 'active' ? spansOfUser(state) : []),
});

export const timeForToken = ({ views, world }: Deps, hash: string, state: TokenState): DecidingTime => ({
  now: world.now(),
  ages: views.heard.ages(tokenStream(hash), state.status === 'active' ? [tokenSpan(state)] : []),
});

export const timeForInvite = ({ views, world }: Deps, hash: string, state: InviteState): DecidingTime => ({
  now: world.now(),
  ages: views.heard.ages(inviteStream(hash), state.status === 'pending' ? [inviteSpan(state)] : []),
});
