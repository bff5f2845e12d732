import type { InputOf, OutputOf } from '../../../api/operation.ts';
import type { rotateAuthorities } from '../../../api/operations/authority.ts';
import { hour } from '../../../base/duration.ts';
import { CodedError } from '../../../base/errors.ts';
import { readDuration } from '../../../base/quantities.ts';
import type { AuthorityType } from '../../../domain/authority-facts.ts';
import { type RotationPhase, rotationPhases } from '../../../domain/rotation.ts';
import type { Invocation } from '../../args.ts';

/** The request made by `tctl auth rotate`. */
export type RotateRequest =
  | {
      readonly status: 'report';
      readonly types: readonly AuthorityType[];
      readonly format: 'text' | 'json';
    }
  | {
      readonly status: 'step';
      readonly step: WantedStep;
      /** True when `--phase` named it. */
      readonly isNamed: boolean;
      readonly waitMs: number;
    };

/** The request to the auth server. */
export type WantedStep = Required<InputOf<typeof rotateAuthorities>>;
export type StepOutcome = OutputOf<typeof rotateAuthorities>;

const longestGraceMs = 87_600 * hour;
const longestWaitMs = 24 * hour;

/**
 * Reads the flags together.
 * @throws CodedError `bad_request` for a value that cannot be read, and for a flag that would have no effect
 *   beside the others.
 */
export function rotateRequestOf(invocation: Invocation): RotateRequest {
  const types = typesOf(invocation.text('type'));
  if (invocation.on('status')) {
    refuseGiven(invocation, notWithStatus, 'does not go with --status, which changes nothing');
    return { status: 'report', types, format: invocation.text('format') === 'json' ? 'json' : 'text' };
  }
  refuseGiven(invocation, ['format'], 'goes with --status only');
  const named = phaseOf(invocation.text('phase'));
  const phase = named ?? 'init';
  if (phase !== 'init')
    refuseGiven(invocation, ['grace-period'], 'is set when a rotation starts, with --phase=init');
  const gracePeriodMs = durationOf(invocation, 'grace-period', longestGraceMs);
  if (phase !== 'init' && phase !== 'standby')
    refuseGiven(
      invocation,
      ['end-sessions'],
      'goes with the start of a rotation, or with --phase=standby, by which a key is withdrawn',
    );
  if (invocation.text('type') === 'host')
    refuseGiven(
      invocation,
      ['end-sessions'],
      'is about the user authority: no session rests on a key for hosts',
    );
  return {
    status: 'step',
    isNamed: named !== undefined,
    waitMs: durationOf(invocation, 'wait', longestWaitMs),
    step: {
      ...{ types: [...types], phase, gracePeriodMs },
      mode: named !== undefined || invocation.on('manual') ? 'manual' : 'auto',
      force: invocation.on('force'),
      dryRun: invocation.on('dry-run'),
      endSessions: invocation.on('end-sessions'),
    },
  };
}

/** Withdraws every key at once, even during a rotation. */
export const isReplacement = ({
  phase,
  gracePeriodMs,
}: Pick<WantedStep, 'phase' | 'gracePeriodMs'>): boolean => phase === 'init' && gracePeriodMs === 0;

const notWithStatus = ['phase', 'manual', 'grace-period', 'wait', 'force', 'dry-run', 'end-sessions'];

function refuseGiven(invocation: Invocation, flags: readonly string[], why: string): void {
  const odd = flags.find((flag) => invocation.given(flag));
  if (odd !== undefined) throw new CodedError('bad_request', `--${odd} ${why}`);
}

const typesOf = (text: string | undefined): readonly AuthorityType[] =>
  text === 'user' || text === 'host' ? [text] : ['user', 'host'];

const phaseOf = (text: string | undefined): RotationPhase | undefined =>
  rotationPhases.find((phase) => phase === text);

/** Go's form, and `0` without a unit, as Go reads it. */
function durationOf(invocation: Invocation, flag: string, max: number): number {
  const text = invocation.text(flag) ?? '';
  const read = text === '0' ? 0 : readDuration(text, { min: 0, max });
  if (typeof read === 'number') return read;
  throw new CodedError('bad_request', `--${flag}: ${read.fault}`);
}
