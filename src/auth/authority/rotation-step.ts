import type { AuthorityCommand } from '../../domain/authority-commands.ts';
import type { LeftHost, RotationMode } from '../../domain/authority-facts.ts';
import { type CreatedAuthority, keysInUse } from '../../domain/authority-state.ts';
import { misorder, type RotationPhase } from '../../domain/rotation.ts';
import { CodedError } from '../../base/errors.ts';
import type { Instant } from '../../base/time.ts';
import type { AuthDeps } from '../deps.ts';
import { announcementOf, nextNumber, signersOf } from './announce-keys.ts';
import { newAuthorityKey } from './new-authority-key.ts';

/** A step of one authority's rotation, as requested by an operator or the clock. */
export interface WantedStep {
  readonly phase: RotationPhase;
  readonly mode: RotationMode;
  readonly gracePeriodMs: number;
  readonly endSessions: boolean;
  /** For a rotation that begins: the same for all authorities that begin together. */
  readonly newRotationId: string;
  readonly at: Instant;
  /** An actor, as in `Cause`. */
  readonly by: string;
  readonly left: readonly LeftHost[];
}

/**
 * The command for a step from the state that is known. The decider checks the state again: of two concurrent
 * steps one is refused.
 * @throws CodedError `bad_request` for a step that does not follow; `unavailable` when a key cannot be
 *   opened.
 */
export async function commandFor(
  deps: Pick<AuthDeps, 'keys' | 'world'>,
  state: CreatedAuthority,
  wanted: WantedStep,
): Promise<AuthorityCommand> {
  const { phase, gracePeriodMs, mode, newRotationId, at, by, left, endSessions } = wanted;
  const isReplacement = phase === 'init' && gracePeriodMs === 0;
  const wrong = isReplacement ? undefined : misorder(phase, state.rotation);
  if (wrong !== undefined) throw new CodedError('bad_request', `${wrong} (${state.type} authority)`);
  if (isReplacement) return replacement(deps, state, wanted);
  if (phase === 'init') {
    const { key, announced } = await withNewKey(deps, state, { at, gracePeriodMs });
    return {
      type: 'start-rotation',
      ...{ rotationId: newRotationId, mode, gracePeriodMs, endSessions, at, by, key },
      ...announced,
    };
  }
  const rotationId = state.rotation.phase === 'standby' ? '' : state.rotation.rotationId;
  const step = { rotationId, at, by, left };
  switch (phase) {
    case 'update_clients':
    case 'update_servers':
      return { type: 'advance-rotation', phase, ...step };
    case 'rollback':
      return { type: 'roll-back-rotation', ...step };
    case 'standby':
      return { type: 'finish-rotation', ...step, endSessions, ...(await withOneKey(deps, state, at)) };
  }
}

type Deps = Pick<AuthDeps, 'keys' | 'world'>;

async function withNewKey(
  deps: Deps,
  state: CreatedAuthority,
  { at, gracePeriodMs }: { readonly at: Instant; readonly gracePeriodMs: number },
) {
  const { type, clusterName } = state;
  const { key, signer } = newAuthorityKey(clusterName, deps.world);
  const { trusted } = keysInUse(state);
  const signers = [...(await signersOf(deps, type, trusted)), signer];
  const number = nextNumber(state);
  const announcement = announcementOf({
    ...{ clusterName, type, number, at, gracePeriodMs, signers },
    keys: [...trusted, key],
  });
  return { key, announced: { announcement, number } };
}

/** Only the key that signs remains. */
async function withOneKey(deps: Deps, state: CreatedAuthority, at: Instant) {
  const { type, clusterName } = state;
  const keys = [keysInUse(state).signs];
  const number = nextNumber(state);
  const signers = await signersOf(deps, type, keys);
  const announcement = announcementOf({
    ...{ clusterName, type, number, at, keys, signers },
    gracePeriodMs: undefined,
  });
  return { announcement, number };
}

/**
 * The new key is announced by itself alone: whoever stole the old key convinces nobody, and the old key's
 * signature would prove nothing.
 */
function replacement(
  deps: Deps,
  state: CreatedAuthority,
  { newRotationId: rotationId, at, by, left }: WantedStep,
): AuthorityCommand {
  const { type, clusterName } = state;
  const { key, signer } = newAuthorityKey(clusterName, deps.world);
  const number = nextNumber(state);
  const announcement = announcementOf({
    ...{ clusterName, type, number, at },
    keys: [key],
    signers: [signer],
    gracePeriodMs: undefined,
  });
  return { type: 'replace-key', rotationId, at, by, left, key, announcement, number };
}
