import { type Instant, plusMs } from '../base/time.ts';
import type { RotationMode } from './authority-facts.ts';
import type { RotatingPhase, RotationPhase } from './rotation.ts';

/** A rotation in the form in which people see it. */
export interface ShownRotation {
  readonly phase: RotationPhase;
  readonly lastRotatedAt?: Instant | null | undefined;
  /** Undefined in standby. */
  readonly underWay?: ShownUnderWay | undefined;
}
export interface ShownUnderWay {
  readonly mode: RotationMode;
  readonly startedAt: Instant;
  readonly gracePeriodMs: number;
  readonly phaseSince: Instant;
  readonly endsAt: Instant;
}

const phaseWords: Readonly<Record<RotatingPhase, string>> = {
  init: 'initialized',
  update_clients: 'rotating clients',
  update_servers: 'rotating servers',
  rollback: 'rolling back',
};

/** Where a rotation stands, in the words of `tctl status` of 4.4. */
export function rotationWords({ phase, lastRotatedAt, underWay }: ShownRotation): string {
  if (phase === 'standby' || underWay === undefined)
    return lastRotatedAt === undefined || lastRotatedAt === null
      ? 'never updated'
      : `rotated ${shortMoment(lastRotatedAt)}`;
  const { mode, startedAt, endsAt } = underWay;
  const times = `started: ${shortMoment(startedAt)}, ending: ${shortMoment(endsAt)}`;
  return `${phaseWords[phase]} (mode: ${mode}, ${times})`;
}

export interface ScheduledStep {
  readonly phase: RotationPhase;
  readonly at: Instant;
}

/** The steps that an automatic rotation has before it, and when each is due; none in manual mode. */
export function rotationSchedule({ phase, underWay }: ShownRotation): readonly ScheduledStep[] {
  if (underWay?.mode !== 'auto') return [];
  const { phaseSince, gracePeriodMs } = underWay;
  return stepsAfter[phase].map((next, i) => ({
    phase: next,
    at: plusMs(phaseSince, Math.ceil((gracePeriodMs * (i + 1)) / 3)),
  }));
}

const stepsAfter: Readonly<Record<RotationPhase, readonly RotationPhase[]>> = {
  init: ['update_clients', 'update_servers', 'standby'],
  update_clients: ['update_servers', 'standby'],
  update_servers: ['standby'],
  rollback: ['standby'],
  standby: [],
};

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `Nov  2 19:50:54 UTC`, as `tctl status` of 4.4 prints moments. */
export function shortMoment(at: Instant): string {
  const [month, day] = [Number(at.slice(5, 7)), Number(at.slice(8, 10))];
  return `${months[month - 1] ?? ''} ${String(day).padStart(2)} ${at.slice(11, 19)} UTC`;
}
