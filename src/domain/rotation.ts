import { type Instant, plusMs } from '../base/time.ts';
import type { RotationMode } from './authority-facts.ts';

/** Phases in which two keys are trusted. */
export type RotatingPhase = 'init' | 'update_clients' | 'update_servers' | 'rollback';
export type RotationPhase = 'standby' | RotatingPhase;
export const rotationPhases = [
  'standby',
  'init',
  'update_clients',
  'update_servers',
  'rollback',
] as const satisfies readonly RotationPhase[];

/** Where a rotation of one authority stands. */
export type Rotation =
  | {
      readonly phase: 'standby';
      /** Null: never. After a rollback it is the time of the previous rotation. */
      readonly lastRotatedAt: Instant | null;
      /** The rotation that ended last, completed or rolled back; null: none. */
      readonly lastRotationId: string | null;
    }
  | UnderWay;

export interface UnderWay {
  readonly phase: RotatingPhase;
  readonly rotationId: string;
  readonly mode: RotationMode;
  readonly startedAt: Instant;
  readonly gracePeriodMs: number;
  readonly phaseSince: Instant;
  /** Who took the step to this phase. */
  readonly phaseBy: string;
  readonly oldKeyId: string;
  readonly newKeyId: string;
  readonly lastRotatedAt: Instant | null;
  /** Sessions that began under the old key end with it. */
  readonly endSessions?: boolean;
}

/** One of the two keys. */
type Side = 'old' | 'new';

/**
 * The one table of a rotation. Both keys are trusted in each of its phases. `signs`: the key for new
 * certificates; `clients`, `servers`: whose certificate machines show when they call, and when they are
 * called.
 */
const table: Readonly<Record<RotatingPhase, Readonly<Record<'signs' | 'clients' | 'servers', Side>>>> = {
  init: { signs: 'old', clients: 'old', servers: 'old' },
  update_clients: { signs: 'new', clients: 'new', servers: 'old' },
  update_servers: { signs: 'new', clients: 'new', servers: 'new' },
  rollback: { signs: 'old', clients: 'old', servers: 'old' },
};

export interface KeyUse {
  readonly signs: string;
  readonly clients: string;
  readonly servers: string;
}

/** Ids of the keys that are used in a rotation under way. */
export function keyUseOf({ phase, oldKeyId, newKeyId }: UnderWay): KeyUse {
  const idOf = (side: Side): string => (side === 'old' ? oldKeyId : newKeyId);
  const { signs, clients, servers } = table[phase];
  return { signs: idOf(signs), clients: idOf(clients), servers: idOf(servers) };
}

/** The phases from which each phase may be entered, by command. */
const entered: Readonly<Record<RotationPhase, readonly RotationPhase[]>> = {
  init: ['standby'],
  update_clients: ['init'],
  update_servers: ['update_clients'],
  standby: ['update_servers', 'rollback'],
  rollback: ['init', 'update_clients', 'update_servers'],
};

/**
 * Why a phase cannot be entered from another, in the words of 4.4 and with the phase that is current;
 * undefined when it can.
 */
export function misorder(target: RotationPhase, { phase, ...rotation }: Rotation): string | undefined {
  if (entered[target].includes(phase)) return undefined;
  const since = 'phaseSince' in rotation ? `, since ${rotation.phaseSince} by ${rotation.phaseBy}` : '';
  return target === 'init'
    ? `can not initiate rotation while another is in progress, current phase is ${phase}${since}`
    : `can only switch to phase ${target} from ${entered[target].join(' or ')}, current phase is ${phase}${since}`;
}

export interface NextStep {
  readonly phase: RotationPhase;
  /** When it happens automatically; undefined in manual mode. */
  readonly at: Instant | undefined;
}

const following = {
  init: 'update_clients',
  update_clients: 'update_servers',
  update_servers: 'standby',
  rollback: 'standby',
} as const satisfies Record<RotatingPhase, RotationPhase>;

/**
 * The next step. In automatic mode each phase lasts a third of the grace period, as in 4.4; a phase that
 * began late is not shortened.
 */
export function nextStep({ phase, mode, phaseSince, gracePeriodMs }: UnderWay): NextStep {
  const at = mode === 'auto' ? plusMs(phaseSince, Math.ceil(gracePeriodMs / 3)) : undefined;
  return { phase: following[phase], at };
}

/** When an automatic rotation ends if nothing delays it; of a manual one, by its grace period. */
export const expectedEnd = ({ phase, mode, startedAt, phaseSince, gracePeriodMs }: UnderWay): Instant =>
  mode === 'manual' || phase === 'rollback'
    ? plusMs(startedAt, gracePeriodMs)
    : plusMs(phaseSince, Math.ceil((gracePeriodMs * thirdsLeft[phase]) / 3));
const thirdsLeft = { init: 3, update_clients: 2, update_servers: 1 };
