import type { z } from 'zod';
import { namedLaggards, rotateAuthorities as row } from '../../api/operations/authority.ts';
import { CodedError } from '../../base/errors.ts';
import { actorOf } from '../../api/guard.ts';
import { authority } from '../../domain/authority.ts';
import type { AuthorityType, LeftHost } from '../../domain/authority-facts.ts';
import type { CreatedAuthority } from '../../domain/authority-state.ts';
import { authorityStream } from '../../domain/streams.ts';
import { load } from '../../log/execute.ts';
import type { Position } from '../../log/event.ts';
import { type AuthDeps, causeOf, termsOf } from '../deps.ts';
import { implementing } from '../implementing.ts';
import { followingOf, hostsThatFollow } from './lagging-hosts.ts';
import { destroyWithdrawn } from './destroy-withdrawn.ts';
import { commandFor } from './rotation-step.ts';
import { takeSteps } from './take-steps.ts';

type Output = z.input<typeof row.output>;
type Input = z.output<typeof row.input>;

/**
 * Takes a step of the rotation of one or both authorities, in one append: both take it, or neither does.
 * @throws CodedError `bad_request` for a step that does not follow, with the current phase and who took the
 *   step to it, and for a rotation without a grace period and without force; `unavailable` while a key cannot
 *   be opened.
 */
export const rotateAuthorities = implementing(row, async (deps, call, input): Promise<Output> => {
  deps.lag.require();
  const asOf = await deps.views.fresh();
  await deps.views.presence.reached(await deps.log.presence.head());
  const states = await Promise.all(input.types.map((type) => createdAuthority(deps, type, asOf)));
  const by = actorOf(call.caller);
  const lagging = laggingAt(deps, states, input);
  const steps = states.map(({ type, rotation }) => ({ type, from: rotation.phase, to: targetOf(input) }));
  const answer = { steps, lagging: lagging.slice(0, namedLaggards), laggingCount: lagging.length };
  const wanted = {
    ...{ phase: input.phase, mode: input.mode, gracePeriodMs: input.gracePeriodMs },
    ...{ endSessions: input.endSessions, newRotationId: deps.world.uuid(), at: deps.world.now(), by },
    left: lagging.map(({ hostId, role, nodename }): LeftHost => ({ hostId, role, nodename })),
  };
  // An impossible step is refused before it waits for hosts, in a dry run too.
  const commands = await Promise.all(states.map((state) => commandFor(deps, state, wanted)));
  if (input.dryRun) return { ...answer, status: 'dry_run' };
  if (isReplacement(input) && !input.force)
    throw new CodedError(
      'bad_request',
      'a grace period of 0 withdraws every key at once: whoever and whatever has a certificate of it is cut off, machines ' +
        'have to join again and people to log in again; --force does it',
    );
  if (lagging.length > 0 && !input.force) return { ...answer, status: 'blocked' };
  const before = deps.views.authorities.state();
  const position = await takeSteps(
    deps,
    commands.map((command, i) => ({ type: states[i]?.type ?? 'host', command })),
    { ...causeOf(deps, call), at: wanted.at },
    termsOf(call, asOf),
  );
  deps.afterwards.add(destroyWithdrawn(deps, before));
  return { ...answer, status: 'done', position };
});

const isReplacement = ({ phase, gracePeriodMs }: Input): boolean => phase === 'init' && gracePeriodMs === 0;
const targetOf = (input: Input): Input['phase'] => (isReplacement(input) ? 'standby' : input.phase);

/** A rollback waits for no hosts: it leads to the key that all of them have. */
function laggingAt(deps: AuthDeps, states: readonly CreatedAuthority[], input: Input) {
  if (input.phase === 'rollback') return [];
  const hosts = hostsThatFollow(deps);
  const all = states.flatMap((state) => followingOf(hosts, state.type, state).lagging);
  const keys = new Map(all.map((host) => [`${host.hostId}/${host.role}`, host]));
  return [...keys.values()];
}

/** @throws CodedError `unavailable` before the cluster is initialised. */
export async function createdAuthority(
  deps: Pick<AuthDeps, 'log'>,
  type: AuthorityType,
  asOf: Position,
): Promise<CreatedAuthority> {
  const { state } = await load(deps.log.state, authority, authorityStream(type), asOf);
  if (state.status !== 'created')
    throw new CodedError('unavailable', `the ${type} authority is not there: the cluster is not initialised`);
  return state;
}
