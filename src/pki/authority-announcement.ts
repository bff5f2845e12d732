import { type KeyObject, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { CodedError } from '../base/errors.ts';
import { instant, type Instant } from '../base/time.ts';
import { caPinOf } from './ca-pin.ts';
import { fromAuthorizedKeyLine, parsePublicKey } from './ssh-key.ts';
import { readCertificate } from './x509.ts';

/*
 * The keys of an authority that are trusted from a moment on, as one statement, signed by each of them whose
 * private half is available. Whoever trusts one of the keys learns the others from it, over any channel: that
 * is how clients and machines with an old pin follow a rotation. A statement from after a rotation is signed
 * by the new key alone, so it convinces nobody who did not learn that key before.
 */

export interface AnnouncedKey {
  readonly keyId: string;
  /** authorized_keys line. */
  readonly sshPublicKey: string;
  readonly tlsCertificatePem: string;
}

export interface KeysAnnouncement {
  readonly clusterName: string;
  readonly type: 'user' | 'host';
  /** Each is greater than the one before: an earlier statement is never accepted after a later one. */
  readonly number: number;
  readonly at: Instant;
  /** When it expires. Undefined where one key is trusted alone, which is not about to change. */
  readonly until?: Instant | undefined;
  /** Every key that is trusted, the one that signs certificates first. */
  readonly keys: readonly AnnouncedKey[];
}

/** As it is stored and sent: the exact text, and its signatures. */
export interface SignedKeysAnnouncement {
  readonly text: string;
  readonly signatures: readonly {
    readonly keyId: string;
    /** Base64: of the SSH key (Ed25519), of the X.509 authority's key (SHA-256). */
    readonly ssh: string;
    readonly tls: string;
  }[];
}

/** The private halves of one key. */
export interface AnnouncementSigner {
  readonly keyId: string;
  readonly ssh: KeyObject;
  readonly tls: KeyObject;
}

const announced = z.object({
  clusterName: z.string().min(1),
  type: z.enum(['user', 'host']),
  number: z.number().int().positive(),
  at: instant,
  until: instant.optional(),
  keys: z
    .array(z.object({ keyId: z.string(), sshPublicKey: z.string(), tlsCertificatePem: z.string() }))
    .min(1)
    .max(8),
});

/** Marks the signed bytes, so that they can be taken for nothing else that these keys sign. */
const bytesToSign = (text: string): Buffer => Buffer.from(`authority keys of a cluster, version 1\n${text}`);

export function signAnnouncement(
  announcement: KeysAnnouncement,
  signers: readonly AnnouncementSigner[],
): SignedKeysAnnouncement {
  const text = JSON.stringify(announced.parse(announcement));
  const bytes = bytesToSign(text);
  return {
    text,
    signatures: signers.map(({ keyId, ssh, tls }) => ({
      keyId,
      ssh: sign(null, bytes, ssh).toString('base64'),
      tls: sign('sha256', bytes, tls).toString('base64'),
    })),
  };
}

/** What the reader already trusts of the announced authority. */
export interface TrustAnchors {
  /** authorized_keys lines. */
  readonly sshKeys: readonly string[];
  /** Pins of X.509 authorities. */
  readonly pins: readonly string[];
}

export interface AnnouncementExpected {
  readonly anchors: TrustAnchors;
  readonly clusterName: string;
  readonly type: 'user' | 'host';
  readonly now: Instant;
  /** The number of the last one that was accepted; 0: none was. */
  readonly after: number;
}

/**
 * Accepts a statement that is signed by a key which the reader trusts, for the right cluster, not expired,
 * and not older than the last one.
 * @returns the keys that are trusted by it: no others are from then on.
 * @throws CodedError `access_denied` with what does not match; `damaged` for a text that is not a statement.
 */
export function verifyAnnouncement(
  signed: SignedKeysAnnouncement,
  { anchors, clusterName, type, now, after }: AnnouncementExpected,
): KeysAnnouncement {
  const announcement = readAnnouncement(signed);
  const bytes = bytesToSign(signed.text);
  const isVouched = announcement.keys.some((key) => {
    const signature = signed.signatures.find(({ keyId }) => keyId === key.keyId);
    return signature !== undefined && vouches(key, { signature, bytes, anchors });
  });
  // First of all: the content of an unsigned statement is not worth an error message.
  if (!isVouched) throw refused('no key that is trusted here has signed it');
  if (announcement.clusterName !== clusterName || announcement.type !== type)
    throw refused(`it is of the ${announcement.type} authority of cluster ${announcement.clusterName}`);
  if (announcement.until !== undefined && now >= announcement.until)
    throw refused(`it ended at ${announcement.until}`);
  if (announcement.number < after)
    throw refused(`it is older (number ${announcement.number}) than one that was accepted before (${after})`);
  return announcement;
}

/** When it was made, and when it expires. @throws CodedError `damaged` for a text that is not a statement. */
export function announcementEnd(signed: Pick<SignedKeysAnnouncement, 'text'>): {
  readonly at: Instant;
  readonly until: Instant | undefined;
} {
  const { at, until } = readAnnouncement(signed);
  return { at, until };
}

/**
 * What it says, which nothing proves yet. @throws CodedError `damaged` for a text that is not a statement.
 */
export function readAnnouncement({ text }: Pick<SignedKeysAnnouncement, 'text'>): KeysAnnouncement {
  try {
    return announced.parse(JSON.parse(text));
  } catch (cause) {
    throw new CodedError('damaged', 'it is not an announcement of the keys of an authority', { cause });
  }
}

function vouches(
  key: AnnouncedKey,
  {
    signature,
    bytes,
    anchors,
  }: {
    readonly signature: SignedKeysAnnouncement['signatures'][number];
    readonly bytes: Buffer;
    readonly anchors: TrustAnchors;
  },
): boolean {
  try {
    const blob = fromAuthorizedKeyLine(key.sshPublicKey);
    const isSshAnchor = anchors.sshKeys.some((line) => fromAuthorizedKeyLine(line).equals(blob));
    if (isSshAnchor && verify(null, bytes, parsePublicKey(blob).key, Buffer.from(signature.ssh, 'base64')))
      return true;
    return (
      anchors.pins.includes(caPinOf(key.tlsCertificatePem)) &&
      verify(
        'sha256',
        bytes,
        readCertificate(key.tlsCertificatePem).publicKey,
        Buffer.from(signature.tls, 'base64'),
      )
    );
  } catch {
    return false; // a key that cannot be read vouches for nothing
  }
}

const refused = (why: string): CodedError =>
  new CodedError('access_denied', `the announcement of the cluster's keys is not accepted: ${why}`);
