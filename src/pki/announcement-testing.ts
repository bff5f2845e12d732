import { generateKeyPairSync } from 'node:crypto';
import {
  type AnnouncedKey,
  type AnnouncementSigner,
  type KeysAnnouncement,
  signAnnouncement,
} from './authority-announcement.ts';
import { generateEd25519 } from './key-pair.ts';
import { publicKeyOf, toAuthorizedKeyLine } from './ssh-key.ts';
import { createCaCertificate } from './x509.ts';

/** A key of an authority with its private halves. */
export interface TestAuthorityKey {
  readonly key: AnnouncedKey;
  readonly signer: AnnouncementSigner;
}

export const announcedAt = '2026-01-31T09:00:00.000Z';
export const announcedUntil = '2026-02-02T09:00:00.000Z';

export function testAuthorityKey(keyId: string, clusterName = 'example'): TestAuthorityKey {
  const ssh = generateEd25519();
  const tls = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  return {
    key: {
      keyId,
      sshPublicKey: toAuthorizedKeyLine(publicKeyOf(ssh).blob).trim(),
      tlsCertificatePem: createCaCertificate({
        clusterName,
        privateKey: tls,
        now: '2026-01-01T00:00:00.000Z',
      }),
    },
    signer: { keyId, ssh, tls },
  };
}

/** In the form of facts. */
interface Announcement {
  text: string;
  signatures: { keyId: string; ssh: string; tls: string }[];
}

/** These keys of cluster `example` are trusted, signed by each of `by`; default: by all of them. */
export function announcing(
  keys: readonly TestAuthorityKey[],
  other: Partial<KeysAnnouncement> = {},
  by: readonly TestAuthorityKey[] = keys,
): Announcement {
  const { text, signatures } = signAnnouncement(
    {
      ...{ clusterName: 'example', type: 'host', number: 1, at: announcedAt, until: announcedUntil },
      keys: keys.map(({ key }) => key),
      ...other,
    },
    by.map(({ signer }) => signer),
  );
  return { text, signatures: [...signatures] };
}
