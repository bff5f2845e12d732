import { invite, type InviteFact, type InviteState, type RevokeInvite } from '../../domain/invite.ts';
import { inviteStream } from '../../domain/streams.ts';
import type { Recorded } from '../../log/event.ts';
import { step, type Step } from '../../log/execute.ts';
import { findInvite } from '../../views/invites.ts';
import type { UserEntry } from '../../views/users.ts';
import type { AuthDeps } from '../deps.ts';

const openInviteOf = (user: UserEntry | undefined): string | undefined => user?.state.invite?.hash;

/** Ends the invite that a user has open: of a link, or of a code device that is being set up. */
export function revokeInvite(
  user: UserEntry | undefined,
  reason: RevokeInvite['reason'],
): readonly Step<InviteState, InviteFact>[] {
  const open = openInviteOf(user);
  return open === undefined ? [] : [step(invite, inviteStream(open), { type: 'revoke-invite', reason })];
}

/** The event with the seed of that invite, as long as the view has not heard that it ended. */
export function seedOfInvite(
  { views }: Pick<AuthDeps, 'views'>,
  user: UserEntry | undefined,
): Recorded | undefined {
  const open = openInviteOf(user);
  return open === undefined ? undefined : findInvite(views.invites.state(), open)?.seedIn;
}
