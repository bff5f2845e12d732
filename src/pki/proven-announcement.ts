import {
  type AnnouncementExpected,
  type KeysAnnouncement,
  readAnnouncement,
  type SignedKeysAnnouncement,
  verifyAnnouncement,
} from './authority-announcement.ts';
import { CodedError } from '../base/errors.ts';
import { caPinOf } from './ca-pin.ts';
import { fromAuthorizedKeyLine, parsePublicKey, toAuthorizedKeyLine } from './ssh-key.ts';
import { WireError } from './wire.ts';
import { readCertificate } from './x509.ts';

/**
 * An announcement that every key in it has signed, with both of its halves. Between clusters nothing less
 * counts: one that names the public key of another cluster as its own would get the people of that one.
 * Whether any of the keys is trusted is for the caller to decide.
 * @returns it with each key in the one form in which keys are compared.
 * @throws CodedError `access_denied`, `damaged`, `bad_request` for what is not a key.
 */
export function provenAnnouncement(
  signed: SignedKeysAnnouncement,
  expected: Omit<AnnouncementExpected, 'anchors'>,
): KeysAnnouncement {
  const { keys: stated, ...announcement } = readAnnouncement(signed);
  const keys = stated.map((key) => {
    const [sshPublicKey, tlsCertificatePem] = [
      sshLineOf(key.sshPublicKey),
      authorityOf(key.tlsCertificatePem),
    ];
    const anchors = [
      { sshKeys: [sshPublicKey], pins: [] },
      { sshKeys: [], pins: [caPinOf(tlsCertificatePem)] },
    ];
    for (const one of anchors) verifyAnnouncement(signed, { ...expected, anchors: one });
    return { keyId: key.keyId, sshPublicKey, tlsCertificatePem };
  });
  return { ...announcement, keys };
}

function sshLineOf(line: string): string {
  try {
    const blob = fromAuthorizedKeyLine(line);
    parsePublicKey(blob);
    return toAuthorizedKeyLine(blob);
  } catch (e) {
    if (!(e instanceof WireError)) throw e;
    throw new CodedError('bad_request', 'the statement of keys has what is no SSH key', { cause: e });
  }
}

function authorityOf(pem: string): string {
  const certificate = readCertificate(pem);
  if (!certificate.ca)
    throw new CodedError('bad_request', 'the statement of keys has a certificate that is no authority');
  return certificate.toString();
}
