import type { Instant } from '../base/time.ts';

/** A fact, in the past tense. `data` is plain JSON and holds no secret. */
export interface Fact<Type extends string = string, Data extends object = object> {
  readonly type: Type;
  readonly data: Readonly<Data>;
  /**
   * Only on a fact that is about to be appended: named secrets, which the log seals. A recorded fact has
   * none; `Recorded.sealed` lists the names, and `EventLog.unseal` opens one.
   */
  readonly secrets?: Readonly<Record<string, Uint8Array>>;
}

/** `<category>-<id>`, for example `user-alice`. */
export type StreamName = `${string}-${string}`;

/** Place of an event in its partition: 1, 2, 3, … without a gap. 0 is before the first. */
export type Position = number;

/** Number of events in one stream. 0 means the stream does not exist. */
export type Revision = number;

/** One append touches one partition, so things that are decided together are in the same one. */
export const partitions = ['state', 'presence', 'audit', 'attempts'] as const;
export type Partition = (typeof partitions)[number];

/** Trimmed behind their snapshots: what they hold is in the views that are stored with these. */
export const trimmedPartitions = ['presence', 'attempts'] as const satisfies readonly Partition[];
export const isTrimmed = (partition: Partition): boolean =>
  (trimmedPartitions as readonly Partition[]).includes(partition);

/** Who and what caused an event. */
export interface Cause {
  /** From the world's clock, never from a back end. */
  readonly at: Instant;
  /** `user:alice`, `node:<uuid>`, `proxy:<uuid>`, `auth:<uuid>`, `admin` */
  readonly actor: string;
  readonly requestId: string;
}

export interface Recorded<F extends Fact = Fact> {
  /** UUID version 7. */
  readonly id: string;
  readonly stream: StreamName;
  readonly revision: Revision;
  readonly position: Position;
  readonly cause: Cause;
  readonly fact: F;
  /** The sealed secrets by name; only `EventLog.unseal` can open them. */
  readonly sealed?: Readonly<Record<string, SealedSecret>>;
}

/** AES-256-GCM ciphertext, base64. Its data key is in the vault under `keyId`. */
export interface SealedSecret {
  readonly keyId: string;
  readonly nonce: string;
  readonly ciphertext: string;
}

/** Tells a reader that it has everything up to `position`, although there was nothing for it. */
export interface PositionMark {
  readonly position: Position;
  /** Of the event there; absent from a server of an older release. */
  readonly id?: string | undefined;
  readonly fact?: undefined;
}

export type Followed = Recorded | PositionMark;
