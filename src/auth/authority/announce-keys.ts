import { type Instant, hour, plusMs } from '../../base/time.ts';
import type { AuthorityKey, AuthorityType, SignedAnnouncement } from '../../domain/authority-facts.ts';
import type { CreatedAuthority } from '../../domain/authority-state.ts';
import { type AnnouncementSigner, signAnnouncement } from '../../pki/authority-announcement.ts';
import type { AuthDeps } from '../deps.ts';

/** The shortest lifetime of an announcement while two keys are trusted. */
const leastLifeMs = 24 * hour;

export interface Announcing {
  readonly clusterName: string;
  readonly type: AuthorityType;
  readonly number: number;
  readonly at: Instant;
  /** All that are trusted, the one that signs first. */
  readonly keys: readonly AuthorityKey[];
  /** Of the rotation under way; undefined where only one key is trusted. */
  readonly gracePeriodMs: number | undefined;
  readonly signers: readonly AnnouncementSigner[];
}

/**
 * The announcement of an authority's keys. With two keys it lasts for twice the grace period, at least a day:
 * during a longer rotation the keys are announced again (`automatic-rotation.ts`).
 */
export function announcementOf({ keys, gracePeriodMs, signers, ...what }: Announcing): SignedAnnouncement {
  const until =
    gracePeriodMs === undefined ? undefined : plusMs(what.at, Math.max(2 * gracePeriodMs, leastLifeMs));
  const named = keys.map(({ keyId, sshPublicKey, tlsCertificatePem }) => ({
    keyId,
    sshPublicKey,
    tlsCertificatePem,
  }));
  const { text, signatures } = signAnnouncement({ ...what, until, keys: named }, signers);
  return { text, signatures: [...signatures] };
}

/** The private halves of all these keys, which are on the log. */
export async function signersOf(
  { keys }: Pick<AuthDeps, 'keys'>,
  type: AuthorityType,
  trusted: readonly AuthorityKey[],
): Promise<readonly AnnouncementSigner[]> {
  return Promise.all(
    trusted.map(async ({ keyId }) => {
      const { ssh, tls } = await keys.signerOfKey(type, keyId);
      return { keyId, ssh, tls };
    }),
  );
}

/** The number of the next announcement. */
export const nextNumber = ({ announcements }: CreatedAuthority): number => announcements + 1;
