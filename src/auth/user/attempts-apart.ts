import { second } from '../../base/time.ts';
import { reads } from '../../domain/critical.ts';
import { userStream } from '../../domain/streams.ts';
import { user } from '../../domain/user.ts';
import { step, transact } from '../../log/execute.ts';
import { attemptsHere } from '../../views/attempts-here.ts';
import { presenceOf } from '../../views/presence.ts';
import { hostsInRole } from '../../views/sorted-hosts.ts';
import type { AuthDeps } from '../deps.ts';
import { ownCause } from '../own-cause.ts';
import { startUpkeep, type Upkeep } from '../upkeep.ts';

const everyMs = 5 * second;
/** So many users in one append. */
const mostTogether = 250;

/**
 * Has attempts to log in recorded in the partition `attempts`, user by user, once every auth server that is
 * alive looks for them there: one of an earlier release would not see which codes are spent, and which logins
 * have failed. One that comes back later refuses these users. docs/rfd/0045
 */
export const recordAttemptsApart = (
  deps: Pick<AuthDeps, 'log' | 'views' | 'world' | 'sink' | 'hostId' | 'lag'>,
): Upkeep => {
  const here = attemptsHere();
  return startUpkeep({
    act: (ending) => moveAttempts(deps, ending, here),
    everyMs,
    sink: deps.sink,
    warning: 'logins of some users are still recorded with them, not apart',
    late: 'logins are still recorded in the partition that is kept for ever',
  });
};

/**
 * @param ending stops it between two appends.
 * @param here kept between two calls: the second looks only at users that have changed.
 * @throws CodedError `conflict` where another server does the same.
 */
export async function moveAttempts(
  deps: Pick<AuthDeps, 'log' | 'views' | 'world' | 'hostId' | 'lag'>,
  ending?: AbortSignal,
  here: ReturnType<typeof attemptsHere> = attemptsHere(),
): Promise<void> {
  const { log, views } = deps;
  const found = here(views.users.state());
  if (found.size === 0 || deps.lag.trouble() !== undefined || !allLookApart(deps)) return;
  const names = [...found].sort();
  // When it ends others go on with it.
  for (let from = 0; from < names.length && ending?.aborted !== true; from += mostTogether) {
    const steps = names
      .slice(from, from + mostTogether)
      .map((username) => step(user, userStream(username), { type: 'record-attempts-apart', username }));
    const { position } = await transact(log.state, steps, ownCause(deps));
    if (position !== undefined) await views.reached(position);
  }
}

/** Whether every auth server that is alive looks for attempts in the partition `attempts`. */
export const allLookApart = ({ views }: Pick<AuthDeps, 'views'>): boolean =>
  hostsInRole(views.hosts.state(), 'Auth').every(
    (host) =>
      presenceOf(views.presence.state(), host, views.clock.monotonic()).status !== 'alive' ||
      reads(host.understands, 'attemptsApart'),
  );
