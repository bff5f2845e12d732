import { CodedError } from '../base/errors.ts';
import type { Instant } from '../base/time.ts';
import type { AuthorityKey, AuthorityType, SignedAnnouncement } from './authority-facts.ts';
import { keyUseOf, type Rotation } from './rotation.ts';

/** A key that is not trusted any more. */
export interface RetiredKey {
  readonly key: AuthorityKey;
  readonly at: Instant;
  readonly by: string;
  /** `rolled_back`: it was new, and the rotation was rolled back; `replaced`: without a grace period. */
  readonly why: 'rotated' | 'rolled_back' | 'replaced';
  /** Of the rotation that withdrew it; undefined where an older release has folded it. */
  readonly rotationId?: string;
  /** Whether sessions that began under it ended with it: those under one that was replaced always do. */
  readonly endsSessions: boolean;
}

export interface CreatedAuthority {
  readonly status: 'created';
  readonly type: AuthorityType;
  readonly clusterName: string;
  /** All that are trusted, the oldest first. Several while a rotation is under way. */
  readonly keys: readonly AuthorityKey[];
  readonly rotation: Rotation;
  readonly retired: readonly RetiredKey[];
  /** Undefined before the first rotation. */
  readonly announcement: SignedAnnouncement | undefined;
  /** How many announcements there were: the next one gets the following number. */
  readonly announcements: number;
}
export type AuthorityState = { readonly status: 'absent' } | CreatedAuthority;

/** The keys of an authority by their use. `trusted` is every key whose signatures are accepted. */
export interface KeysInUse {
  readonly signs: AuthorityKey;
  /** Signed the certificates that machines show as clients. */
  readonly clients: AuthorityKey;
  /** Signed the certificates that machines show as servers. */
  readonly servers: AuthorityKey;
  /** The key that signs comes first. */
  readonly trusted: readonly AuthorityKey[];
}

/**
 * Everything that signs, presents or checks reads this: SSH, TLS, pins and exports.
 * @throws CodedError `unavailable` when there is none (the cluster is not initialised).
 */
export function keysInUse(state: AuthorityState): KeysInUse {
  if (state.status !== 'created') throw noKey();
  const { keys, rotation } = state;
  const last = keys.at(-1)?.keyId ?? '';
  const use =
    rotation.phase === 'standby' ? { signs: last, clients: last, servers: last } : keyUseOf(rotation);
  const keyOf = (id: string): AuthorityKey => {
    const key = keys.find(({ keyId }) => keyId === id);
    if (key === undefined) throw noKey();
    return key;
  };
  const signs = keyOf(use.signs);
  return {
    signs,
    clients: keyOf(use.clients),
    servers: keyOf(use.servers),
    trusted: [signs, ...keys.filter((key) => key !== signs)],
  };
}

const noKey = (): CodedError => new CodedError('unavailable', 'the authority has no active key');

/**
 * The key that signs now.
 * @throws CodedError `unavailable` when there is none (the cluster is not initialised).
 */
export const activeSigner = (state: AuthorityState): AuthorityKey => keysInUse(state).signs;

/**
 * The one key that will be trusted after the current rotation, if nobody rolls it back: the new one, and in a
 * rollback the old one. Undefined when no rotation is under way.
 */
export function keyThatLasts(state: AuthorityState): AuthorityKey | undefined {
  if (state.status === 'absent' || state.rotation.phase === 'standby') return undefined;
  const { phase, oldKeyId, newKeyId } = state.rotation;
  const lasting = phase === 'rollback' ? oldKeyId : newKeyId;
  return state.keys.find(({ keyId }) => keyId === lasting);
}

/**
 * Every key under which an established session may continue: the trusted keys, and the keys withdrawn since
 * that let sessions stay. A withdrawal that ends sessions also ends those that an earlier one let stay.
 */
export function keysOfSessions(state: AuthorityState): readonly AuthorityKey[] {
  if (state.status === 'absent') return [];
  const { retired } = state;
  const letStay = retired.slice(retired.findLastIndex(({ endsSessions }) => endsSessions) + 1);
  return [...trustedKeys(state), ...letStay.map(({ key }) => key)];
}

/** Every key whose signatures are accepted now; the key that signs comes first. */
export const trustedKeys = (state: AuthorityState): readonly AuthorityKey[] =>
  state.status === 'created' ? keysInUse(state).trusted : [];
