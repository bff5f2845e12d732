import type { Instant } from '../base/time.ts';
import type {
  AuthorityKey,
  AuthorityType,
  LeftHost,
  Rotated,
  RotationMode,
  SignedAnnouncement,
} from './authority-facts.ts';

/** With the private halves, which are sealed. */
export interface NewAuthorityKey extends AuthorityKey {
  readonly sshPrivateKey: Uint8Array;
  readonly tlsPrivateKey: Uint8Array;
}

export interface CreateAuthority {
  readonly type: 'create-authority';
  readonly authority: AuthorityType;
  readonly clusterName: string;
  readonly key: NewAuthorityKey;
  /** Of one that is restored. Default: it was never rotated. */
  readonly rotated?: Rotated;
}

/** The announcement that goes with a step: made for the state in which the step is taken. */
export interface Announcing {
  readonly announcement: SignedAnnouncement;
  /** The number of the announcement. */
  readonly number: number;
}

/** When a step is taken, and by whom. */
interface Step {
  readonly at: Instant;
  /** An actor, as in `Cause`. */
  readonly by: string;
}
/** What was known of the hosts when a step was decided. */
export interface StepBeyondHosts extends Step {
  /** The rotation that is meant: a step meant for a finished rotation must not be applied to the next one. */
  readonly rotationId: string;
  /** Those who have not acknowledged the phase that ends. The caller has decided to leave them behind. */
  readonly left: readonly LeftHost[];
}

export interface StartRotation extends Step, Announcing {
  readonly type: 'start-rotation';
  readonly rotationId: string;
  readonly mode: RotationMode;
  readonly gracePeriodMs: number;
  /** Sessions that began under the old key end when it is withdrawn, whoever takes that step. */
  readonly endSessions: boolean;
  readonly key: NewAuthorityKey;
}
export interface AdvanceRotation extends StepBeyondHosts {
  readonly type: 'advance-rotation';
  readonly phase: 'update_clients' | 'update_servers';
}
export interface RollBackRotation extends StepBeyondHosts {
  readonly type: 'roll-back-rotation';
}
export interface FinishRotation extends StepBeyondHosts, Announcing {
  readonly type: 'finish-rotation';
  /** Sessions that began under the key that is withdrawn end, also where the rotation was not begun so. */
  readonly endSessions: boolean;
}
/** Withdraws every key at once, even during a rotation. */
export interface ReplaceKey extends StepBeyondHosts, Announcing {
  readonly type: 'replace-key';
  readonly key: NewAuthorityKey;
}
/** Announces the keys that are trusted already, because their announcement is about to expire. */
export interface AnnounceKeys extends Announcing {
  readonly type: 'announce-keys';
  readonly at: Instant;
  /** Exactly these keys. */
  readonly keyIds: readonly string[];
}
export type AuthorityCommand =
  | CreateAuthority
  | StartRotation
  | AdvanceRotation
  | RollBackRotation
  | FinishRotation
  | ReplaceKey
  | AnnounceKeys;
