import { CodedError, unreachable } from '../base/errors.ts';
import type { Decider } from '../log/decider.ts';
import type {
  AdvanceRotation,
  AnnounceKeys,
  Announcing,
  AuthorityCommand,
  CreateAuthority,
  FinishRotation,
  NewAuthorityKey,
  ReplaceKey,
  RollBackRotation,
  StartRotation,
  StepBeyondHosts,
} from './authority-commands.ts';
import { evolveAuthority } from './authority-evolve.ts';
import {
  authorityFact,
  type AuthorityFact,
  type AuthorityKey,
  sshSecretName,
  tlsSecretName,
} from './authority-facts.ts';
import type { AuthorityState, CreatedAuthority } from './authority-state.ts';
import { rotationIsCritical } from './critical-names.ts';
import { keyUseOf, misorder, type UnderWay } from './rotation.ts';
import type { Secrets } from './secrets.ts';
import { writerReads } from './writer-reads.ts';

/** An authority of the cluster: who may sign for people (`user`) or machines (`host`). */
export const authority: Decider<AuthorityState, AuthorityCommand, AuthorityFact> = {
  fact: writerReads(authorityFact),
  initial: { status: 'absent' },

  decide(state, command) {
    if (command.type === 'create-authority') return create(state, command);
    if (state.status === 'absent')
      throw new CodedError('unavailable', 'the authority is not there: the cluster is not initialised');
    switch (command.type) {
      case 'start-rotation':
        return start(state, command);
      case 'advance-rotation':
        return advance(state, command);
      case 'roll-back-rotation':
        return rollBack(state, command);
      case 'finish-rotation':
        return finish(state, command);
      case 'replace-key':
        return replace(state, command);
      case 'announce-keys':
        return announce(state, command);
      default:
        return unreachable(command);
    }
  },

  evolve: evolveAuthority,
};

function create(state: AuthorityState, command: CreateAuthority): readonly AuthorityFact[] {
  if (state.status !== 'absent')
    throw new CodedError('already_exists', `the ${command.authority} authority exists`);
  const { key, secrets } = sealedKey(command.key);
  const { authority: type, clusterName, rotated } = command;
  const data = { type, clusterName, keys: [key], ...(rotated && { rotated }) };
  return [{ type: 'authority.created', data, secrets }];
}

function start(state: CreatedAuthority, command: StartRotation): readonly AuthorityFact[] {
  const wrong = misorder('init', state.rotation);
  if (wrong !== undefined) throw new CodedError('bad_request', wrong);
  checkNumber(state, command);
  const { key: made, gracePeriodMs, rotationId, mode, at, by, announcement, endSessions } = command;
  if (!Number.isSafeInteger(gracePeriodMs) || gracePeriodMs <= 0)
    throw new CodedError('bad_request', 'the grace period must be greater than 0');
  const { key, secrets } = sealedKey(made);
  if (state.keys.some(({ keyId }) => keyId === key.keyId))
    throw new CodedError('bad_request', 'the new key has the id of one that is there');
  return [
    {
      type: 'authority.rotation_started',
      data: {
        ...{ rotationId, mode, gracePeriodMs, at, by, key, announcement },
        ...(endSessions && { endSessions }),
      },
      secrets,
    },
  ];
}

function advance(state: CreatedAuthority, command: AdvanceRotation): readonly AuthorityFact[] {
  const { phase, left } = command;
  underWay(state, phase, command);
  return [{ type: 'authority.rotation_advanced', data: { ...stepOf(command), phase, left: [...left] } }];
}

function rollBack(state: CreatedAuthority, command: RollBackRotation): readonly AuthorityFact[] {
  underWay(state, 'rollback', command);
  return [{ type: 'authority.rotation_rolled_back', data: { ...stepOf(command), left: [...command.left] } }];
}

function finish(state: CreatedAuthority, command: FinishRotation): readonly AuthorityFact[] {
  const rotation = underWay(state, 'standby', command);
  checkNumber(state, command);
  const { left, announcement } = command;
  // Of a rollback, which withdraws the new key, it was not said.
  const endSessions = command.endSessions || (rotation.endSessions === true && rotation.phase !== 'rollback');
  const keyId = keyUseOf(rotation).signs;
  return [
    {
      type: 'authority.rotation_finished',
      data: {
        ...stepOf(command),
        keyId,
        left: [...left],
        announcement,
        critical: [rotationIsCritical],
        ...(endSessions && { endSessions }),
      },
    },
  ];
}

function replace(state: CreatedAuthority, command: ReplaceKey): readonly AuthorityFact[] {
  checkNumber(state, command);
  const { left, announcement } = command;
  const { key, secrets } = sealedKey(command.key);
  return [
    {
      type: 'authority.replaced',
      data: { ...stepOf(command), key, left: [...left], announcement, critical: [rotationIsCritical] },
      secrets,
    },
  ];
}

function announce(state: CreatedAuthority, command: AnnounceKeys): readonly AuthorityFact[] {
  const { at, announcement, keyIds } = command;
  if (keyIds.join() !== state.keys.map(({ keyId }) => keyId).join()) throw changedSince();
  checkNumber(state, command);
  return [{ type: 'authority.announced', data: { at, announcement } }];
}

/** @throws CodedError `bad_request` when somebody else has announced keys since this was made. */
function checkNumber({ announcements }: CreatedAuthority, { number }: Announcing): void {
  if (number !== announcements + 1) throw changedSince();
}

const changedSince = (): CodedError =>
  new CodedError('bad_request', 'the keys of the authority, or what is announced of them, changed since');

/** @throws CodedError `bad_request` for a step that does not follow, or belongs to another rotation. */
function underWay(
  { rotation }: CreatedAuthority,
  target: 'update_clients' | 'update_servers' | 'rollback' | 'standby',
  { rotationId }: StepBeyondHosts,
): UnderWay {
  const wrong = misorder(target, rotation);
  if (wrong !== undefined) throw new CodedError('bad_request', wrong);
  if (rotation.phase === 'standby' || rotation.rotationId !== rotationId)
    throw new CodedError('bad_request', 'another rotation has begun since');
  return rotation;
}

const stepOf = ({
  rotationId,
  at,
  by,
}: StepBeyondHosts): Pick<StepBeyondHosts, 'rotationId' | 'at' | 'by'> => ({
  rotationId,
  at,
  by,
});

function sealedKey(made: NewAuthorityKey): { readonly key: AuthorityKey; readonly secrets: Secrets } {
  const { sshPrivateKey, tlsPrivateKey, ...key } = made;
  const secrets = { [sshSecretName(key.keyId)]: sshPrivateKey, [tlsSecretName(key.keyId)]: tlsPrivateKey };
  return { key, secrets };
}
