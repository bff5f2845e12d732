import { second } from '../../base/time.ts';
import { turns } from '../../base/turns.ts';
import { reads } from '../../domain/critical.ts';
import { userStream } from '../../domain/streams.ts';
import { user } from '../../domain/user.ts';
import { step, transact } from '../../log/execute.ts';
import { allHosts } from '../../views/hosts.ts';
import { presenceOf } from '../../views/presence.ts';
import { valuesOf } from '../../views/table.ts';
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
): Upkeep =>
  startUpkeep({
    act: (ending) => moveAttempts(deps, ending),
    everyMs,
    sink: deps.sink,
    warning: 'logins of some users are still recorded with them, not apart',
    late: 'logins are still recorded in the partition that is kept for ever',
  });

/**
 * @param ending stops it between two appends.
 * @throws CodedError `conflict` where another server does the same.
 */
export async function moveAttempts(
  deps: Pick<AuthDeps, 'log' | 'views' | 'world' | 'hostId' | 'lag'>,
  ending?: AbortSignal,
): Promise<void> {
  const { log, views } = deps;
  if (deps.lag.trouble() !== undefined || !allLookApart(deps)) return;
  const due = turns();
  let names: string[] = [];
  const move = async (): Promise<void> => {
    const steps = names.map((username) =>
      step(user, userStream(username), { type: 'record-attempts-apart', username }),
    );
    names = [];
    const { position } = await transact(log.state, steps, ownCause(deps));
    if (position !== undefined) await views.reached(position);
  };
  for (const { state } of valuesOf(views.users.state().known)) {
    await due();
    // Others go on with it.
    if (ending?.aborted === true) return;
    if (state.attempts === 'here') names.push(state.username);
    if (names.length >= mostTogether) await move();
  }
  if (names.length > 0) await move();
}

/** Whether every auth server that is alive looks for attempts in the partition `attempts`. */
export const allLookApart = ({ views }: Pick<AuthDeps, 'views'>): boolean =>
  allHosts(views.hosts.state(), ['Auth']).every(
    (host) =>
      presenceOf(views.presence.state(), host, views.clock.monotonic()).status !== 'alive' ||
      reads(host.understands, 'attemptsApart'),
  );
