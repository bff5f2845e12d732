import { z } from 'zod';
import { instant } from '../base/time.ts';
import type { WithSecrets } from './secrets.ts';

export const authorityType = z.enum(['user', 'host']);
export type AuthorityType = z.infer<typeof authorityType>;

/** The public half of one signer: an SSH key and an X.509 authority that live and die together. */
export const authorityKey = z.object({
  keyId: z.string().min(1),
  /** authorized_keys line. */
  sshPublicKey: z.string(),
  tlsCertificatePem: z.string(),
  /** When it was made. */
  activeFrom: instant,
});
export type AuthorityKey = z.infer<typeof authorityKey>;

/**
 * The keys that are trusted from now on, signed by each of them whose private half was available, so that
 * whoever trusts one of them learns the others. Made and read by `pki/authority-announcement.ts`.
 */
export const signedAnnouncement = z.object({
  text: z.string(),
  signatures: z.array(z.object({ keyId: z.string(), ssh: z.string(), tls: z.string() })),
});
export type SignedAnnouncement = z.infer<typeof signedAnnouncement>;

export const rotationMode = z.enum(['manual', 'auto']);
export type RotationMode = z.infer<typeof rotationMode>;

/** A host that had not acknowledged a step when it was taken anyway. */
const leftHost = z.object({ hostId: z.string(), role: z.string(), nodename: z.string() });
export type LeftHost = z.infer<typeof leftHost>;

const step = {
  rotationId: z.string().min(1),
  at: instant,
  /** Who took it: an actor of `Cause`. */
  by: z.string(),
};
const stepBeyondHosts = { ...step, left: z.array(leftHost).default([]) };

/** What the rotations before leave behind: hosts refuse an announcement with a number below this one. */
const rotated = z.object({
  announcements: z.number().int().nonnegative(),
  announcement: signedAnnouncement.optional(),
  lastRotatedAt: instant.nullable(),
  lastRotationId: z.string().nullable(),
});
export type Rotated = z.infer<typeof rotated>;

export const authorityFact = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('authority.created'),
    data: z.object({
      type: authorityType,
      clusterName: z.string(),
      /** One key, which signs. Releases before rotation could write several: the newest one signs. */
      keys: z.array(authorityKey).min(1),
      /** Of an authority from a file of everything: what its rotations left. Left out: there was none. */
      rotated: rotated.optional(),
    }),
  }),
  /** Phase init: a second key is trusted. Its private half is sealed in this fact. */
  z.object({
    type: z.literal('authority.rotation_started'),
    data: z.object({
      ...step,
      mode: rotationMode,
      gracePeriodMs: z.number().int().positive(),
      /** When it ends, sessions that began under the old key end. Older releases know of no such wish. */
      endSessions: z.boolean().optional(),
      key: authorityKey,
      announcement: signedAnnouncement,
    }),
  }),
  z.object({
    type: z.literal('authority.rotation_advanced'),
    data: z.object({ ...stepBeyondHosts, phase: z.enum(['update_clients', 'update_servers']) }),
  }),
  z.object({ type: z.literal('authority.rotation_rolled_back'), data: z.object(stepBeyondHosts) }),
  /** One of the two keys is withdrawn: the old one, or after a rollback the new one. */
  z.object({
    type: z.literal('authority.rotation_finished'),
    data: z.object({
      ...stepBeyondHosts,
      /** The key that stays. */
      keyId: z.string(),
      /** Whether sessions that began under the other key end. */
      endSessions: z.boolean().optional(),
      announcement: signedAnnouncement,
      critical: z.array(z.string()).optional(),
    }),
  }),
  /** Without a grace period: every key but the new one is withdrawn at once. */
  z.object({
    type: z.literal('authority.replaced'),
    data: z.object({
      ...stepBeyondHosts,
      key: authorityKey,
      announcement: signedAnnouncement,
      critical: z.array(z.string()).optional(),
    }),
  }),
  /** The previous announcement was about to expire. */
  z.object({
    type: z.literal('authority.announced'),
    data: z.object({ at: instant, announcement: signedAnnouncement }),
  }),
]);
export type AuthorityFact = WithSecrets<z.infer<typeof authorityFact>>;

/** Names of the sealed private keys in the fact that brought the key: PKCS#8 PEM, UTF-8. */
export const sshSecretName = (keyId: string): string => `ssh.${keyId}`;
export const tlsSecretName = (keyId: string): string => `tls.${keyId}`;

/** The keys whose private halves are sealed in a fact. */
export function keysBroughtBy({ data }: AuthorityFact): readonly AuthorityKey[] {
  if ('keys' in data) return data.keys;
  return 'key' in data ? [data.key] : [];
}
