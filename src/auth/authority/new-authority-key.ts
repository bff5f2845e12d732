import { generateKeyPairSync } from 'node:crypto';
import type { World } from '../../base/world.ts';
import type { NewAuthorityKey } from '../../domain/authority-commands.ts';
import type { AnnouncementSigner } from '../../pki/authority-announcement.ts';
import { generateEd25519, privateKeyPem } from '../../pki/key-pair.ts';
import { publicKeyOf, toAuthorizedKeyLine } from '../../pki/ssh-key.ts';
import { createCaCertificate } from '../../pki/x509.ts';

/** A key for an authority, in the form that commands take, and the signer for it. */
export function newAuthorityKey(
  clusterName: string,
  world: Pick<World, 'now' | 'uuid'>,
): { readonly key: NewAuthorityKey; readonly signer: AnnouncementSigner } {
  const now = world.now();
  const keyId = world.uuid();
  const ssh = generateEd25519();
  const tls = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  return {
    signer: { keyId, ssh, tls },
    key: {
      keyId,
      sshPublicKey: toAuthorizedKeyLine(publicKeyOf(ssh).blob),
      tlsCertificatePem: createCaCertificate({ clusterName, privateKey: tls, now }),
      activeFrom: now,
      sshPrivateKey: Buffer.from(privateKeyPem(ssh)),
      tlsPrivateKey: Buffer.from(privateKeyPem(tls)),
    },
  };
}
