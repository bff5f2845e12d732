import { type Instant, msBetween } from '../../base/time.ts';
import type { AuthorityKey } from '../../domain/authority-facts.ts';
import { type AuthorityState, type KeysInUse, trustedKeys } from '../../domain/authority-state.ts';
import { adoptedMark, type HeldKeys } from '../../domain/host-adoption.ts';
import type { RotationMark } from '../../domain/rotation-mark.ts';
import type { ShownIdentities } from '../../pki/current-identity.ts';
import { hostCertificateLife } from '../../pki/host-certificate-life.ts';
import type { HostIdentity } from '../../pki/host-identity.ts';
import { parseCertificate } from '../../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine } from '../../pki/ssh-key.ts';

/** Which of these keys signed the certificates of an identity; undefined: none of them. */
export function keyOf(
  { sshCertificate }: Pick<HostIdentity, 'sshCertificate'>,
  keys: readonly AuthorityKey[],
): string | undefined {
  const { ca } = parseCertificate(fromAuthorizedKeyLine(sshCertificate));
  return keys.find(({ sshPublicKey }) => fromAuthorizedKeyLine(sshPublicKey).equals(ca.blob))?.keyId;
}

/** How far a machine with these identities follows the rotation of the host authority. */
export const adoptedOf = (shown: ShownIdentities, state: AuthorityState): RotationMark =>
  adoptedMark(state, heldKeys(shown, trustedKeys(state)));

const heldKeys = ({ client, server }: ShownIdentities, trusted: readonly AuthorityKey[]): HeldKeys => ({
  client: keyOf(client, trusted),
  server: keyOf(server, trusted),
  trusts: trusted
    .filter(
      ({ tlsCertificatePem, sshPublicKey }) =>
        client.tlsCasPem.includes(tlsCertificatePem) && client.sshHostCas.includes(sshPublicKey),
    )
    .map(({ keyId }) => keyId),
});

/**
 * What a machine with these identities shows and trusts from now on: the same object where nothing changes.
 * @param now an identity that is about to expire is not kept for callers.
 */
export function settled(shown: ShownIdentities, keys: KeysInUse, now: Instant): ShownIdentities {
  const client = trusting(shown.client, keys);
  const server = shown.server === shown.client ? client : trusting(shown.server, keys);
  const chosen = isToBeKept(client, server, { keys, now }) ? server : client;
  return client === shown.client && chosen === shown.server ? shown : { client, server: chosen };
}

/**
 * Servers keep showing the older identity as long as the newest is not due to be shown there yet, and the
 * older one is still due and valid.
 */
function isToBeKept(
  newest: HostIdentity,
  older: HostIdentity,
  { keys, now }: { readonly keys: KeysInUse; readonly now: Instant },
): boolean {
  if (newest === older) return true;
  const wanted = keys.servers.keyId;
  return (
    keyOf(newest, keys.trusted) !== wanted && keyOf(older, keys.trusted) === wanted && !endsSoon(older, now)
  );
}

/** An identity with less than this share of its lifetime left is not shown any more. */
const leastLeft = 1 / 20;

function endsSoon(identity: HostIdentity, now: Instant): boolean {
  const { madeAt, until } = hostCertificateLife(identity);
  return until !== undefined && msBetween(now, until) < leastLeft * msBetween(madeAt, until);
}

/**
 * The identity with the keys that are trusted now. An identity under a key that is not trusted keeps its own
 * list: it is refused wherever it is shown, and the list shows where it belonged.
 */
function trusting(identity: HostIdentity, { trusted }: KeysInUse): HostIdentity {
  const tlsCasPem = trusted.map((key) => key.tlsCertificatePem);
  const sshHostCas = trusted.map((key) => key.sshPublicKey);
  const isSame = same(identity.tlsCasPem, tlsCasPem) && same(identity.sshHostCas, sshHostCas);
  if (isSame || keyOf(identity, trusted) === undefined) return identity;
  return { ...identity, tlsCasPem, sshHostCas };
}

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((one, i) => one === b[i]);
