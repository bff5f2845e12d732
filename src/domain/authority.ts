import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import { instant, type Instant } from '../base/time.ts';
import type { Decider } from '../log/decider.ts';
import type { Secrets, WithSecrets } from './secrets.ts';

export const authorityType = z.enum(['user', 'host']);
export type AuthorityType = z.infer<typeof authorityType>;

/** The public half of one signer: an SSH key and an X.509 authority that live and die together. */
export const authorityKey = z.object({
  keyId: z.string().min(1),
  /** authorized_keys line. */
  sshPublicKey: z.string(),
  tlsCertificatePem: z.string(),
  activeFrom: instant,
});
export type AuthorityKey = z.infer<typeof authorityKey>;

export const authorityFact = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('authority.created'),
    data: z.object({
      type: authorityType,
      clusterName: z.string(),
      /** In this order they are trusted; the one with the latest `activeFrom` signs. */
      keys: z.array(authorityKey).min(1),
    }),
  }),
]);
export type AuthorityFact = WithSecrets<z.infer<typeof authorityFact>>;

/** Names of the sealed private keys in the fact that brought the key: PKCS#8 PEM, UTF-8. */
export const sshSecretName = (keyId: string): string => `ssh.${keyId}`;
export const tlsSecretName = (keyId: string): string => `tls.${keyId}`;

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
export type AuthorityCommand = CreateAuthority;

/** Where a rotation stands. Phases are added with the facts that lead to them. */
export interface Rotation {
  readonly phase: 'standby';
  readonly lastRotatedAt: Instant | null;
}

export interface CreatedAuthority {
  readonly status: 'created';
  readonly type: AuthorityType;
  readonly clusterName: string;
  /** All that are trusted. Several while a rotation is under way. */
  readonly keys: readonly AuthorityKey[];
  /** The one that signs. */
  readonly activeKeyId: string;
  readonly rotation: Rotation;
}
export type AuthorityState = { readonly status: 'absent' } | CreatedAuthority;

/** An authority of the cluster: who may sign for people (`user`) or machines (`host`). */
export const authority: Decider<AuthorityState, AuthorityCommand, AuthorityFact> = {
  fact: authorityFact,
  initial: { status: 'absent' },

  decide(state, command) {
    if (state.status !== 'absent')
      throw new CodedError('already_exists', `the ${command.authority} authority exists`);
    const { sshPrivateKey, tlsPrivateKey, ...key } = command.key;
    const secrets: Secrets = {
      [sshSecretName(key.keyId)]: sshPrivateKey,
      [tlsSecretName(key.keyId)]: tlsPrivateKey,
    };
    const data = { type: command.authority, clusterName: command.clusterName, keys: [key] };
    return [{ type: 'authority.created', data, secrets }];
  },

  evolve(_state, { data }) {
    return {
      status: 'created',
      type: data.type,
      clusterName: data.clusterName,
      keys: data.keys,
      activeKeyId: latest(data.keys),
      rotation: { phase: 'standby', lastRotatedAt: null },
    };
  },
};

/** The schema admits no empty list; '' keeps the fold total. */
const latest = (keys: readonly AuthorityKey[]): string =>
  keys.toSorted((a, b) => (a.activeFrom < b.activeFrom ? -1 : 1)).at(-1)?.keyId ?? '';

/**
 * The key that signs now.
 * @throws CodedError `unavailable` when there is none (the cluster is not initialised).
 */
export function activeSigner(state: AuthorityState): AuthorityKey {
  const key =
    state.status === 'created' ? state.keys.find(({ keyId }) => keyId === state.activeKeyId) : undefined;
  if (!key) throw new CodedError('unavailable', 'the authority has no active key');
  return key;
}

/** Every key whose signatures are accepted now, the active one first. */
export function trustedKeys(state: AuthorityState): readonly AuthorityKey[] {
  if (state.status !== 'created') return [];
  const isActive = (key: AuthorityKey): boolean => key.keyId === state.activeKeyId;
  return [...state.keys.filter(isActive), ...state.keys.filter((key) => !isActive(key))];
}
