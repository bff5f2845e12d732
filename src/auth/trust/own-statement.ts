import { hour, plusMs } from '../../base/time.ts';
import type { AuthorityType, SignedAnnouncement } from '../../domain/authority-facts.ts';
import { signAnnouncement } from '../../pki/authority-announcement.ts';
import { trustedOf } from '../../views/authorities.ts';
import { signersOf } from '../authority/announce-keys.ts';
import type { AuthDeps } from '../deps.ts';
import { clusterOf } from '../lookups.ts';

/** Long enough for an exchange between clocks that differ, and too short to be of use to anybody later. */
const lifeMs = hour;

/**
 * The keys of an authority of this cluster that are trusted now, signed by each: for another cluster that
 * learns them for the first time. It has the number of the last announcement, so that the next one counts.
 * @throws CodedError `unavailable` where a private key is not on the log.
 */
export async function ownStatement(
  deps: Pick<AuthDeps, 'views' | 'keys' | 'world'>,
  type: AuthorityType,
): Promise<SignedAnnouncement> {
  const authorities = deps.views.authorities.state();
  const trusted = trustedOf(authorities, type);
  const { state } = authorities[type];
  const number = Math.max(1, state.status === 'created' ? state.announcements : 0);
  const at = deps.world.now();
  const keys = trusted.map(({ keyId, sshPublicKey, tlsCertificatePem }) => ({
    keyId,
    sshPublicKey,
    tlsCertificatePem,
  }));
  const { text, signatures } = signAnnouncement(
    { clusterName: clusterOf(deps.views).clusterName, type, number, at, until: plusMs(at, lifeMs), keys },
    await signersOf(deps, type, trusted),
  );
  return { text, signatures: [...signatures] };
}
