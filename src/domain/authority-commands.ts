import type { Instant } from '../base/time.ts';
import type {
  AuthorityKey,
  AuthorityType,
  LeftHost,
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
}

/** What is announced with a step: made for the state in which it is taken. */
export interface Announcing {
  readonly announcement: SignedAnnouncement;
  /** The number in it. */
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
  /** The rotation that is meant: a step of one that is over must not be taken of the next. */
  readonly rotationId: string;
  /** Those who have not acknowledged the phase that ends. Whoever calls has decided to leave them. */
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
/** Withdraws every key at once, whatever is under way. */
export interface ReplaceKey extends StepBeyondHosts, Announcing {
  readonly type: 'replace-key';
  readonly key: NewAuthorityKey;
}
/** The keys are those that are trusted; what was announced of them is about to end. */
export interface AnnounceKeys extends Announcing {
  readonly type: 'announce-keys';
  readonly at: Instant;
  /** Of these keys, and no others. */
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
