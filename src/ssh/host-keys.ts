import type { KeyObject } from 'node:crypto';
import type { ParsedKey } from 'ssh2';
import { CodedError, messageOf } from '../base/errors.ts';
import { certAlgOf, parseCertificate, type Certificate } from '../pki/ssh-certificate.ts';
import type { HostIdentity } from '../pki/host-identity.ts';
import { privateKeyFromPem } from '../pki/key-pair.ts';
import {
  fromAuthorizedKeyLine,
  publicKeyOf,
  sigAlgsOf,
  signSsh,
  splitSignature,
  type SigAlg,
} from '../pki/ssh-key.ts';
import { disguisedKey, labelHostSignature, parseDonor, type Protocol } from './ssh2-internals.ts';

/** A host key with the certificate the host authority gave it. */
export interface HostKey {
  readonly privateKey: KeyObject;
  readonly certificate: Buffer;
}

/** The host keys of a server with this identity. */
export const hostKeysOf = (
  identity: Pick<HostIdentity, 'privateKeyPem' | 'sshCertificate'>,
): readonly [HostKey] => [
  {
    privateKey: privateKeyFromPem(identity.privateKeyPem),
    certificate: fromAuthorizedKeyLine(identity.sshCertificate),
  },
];

/** One host key algorithm on offer. */
export interface OfferedHostKey {
  readonly algorithm: string;
  readonly signatureAlgorithm: SigAlg;
  /** What clients are shown. */
  readonly blob: Buffer;
  readonly privateKey: KeyObject;
  readonly donor: ParsedKey;
}

function certificateOf(hostKey: HostKey, plainBlob: Buffer): Certificate {
  let certificate: Certificate;
  try {
    certificate = parseCertificate(hostKey.certificate);
  } catch (e) {
    throw new CodedError('misconfigured', `the host certificate cannot be read: ${messageOf(e)}`, {
      cause: e,
    });
  }
  if (certificate.kind !== 'host' || !certificate.key.blob.equals(plainBlob))
    throw new CodedError('misconfigured', 'the host certificate does not fit its key');
  return certificate;
}

/**
 * Parses host keys once, for all connections to come. Certificates come first, then the plain keys for
 * clients without certificates. @throws CodedError `misconfigured` for a certificate that is not a host's or
 * belongs to another key.
 */
export function prepareHostKeys(hostKeys: readonly HostKey[]): readonly OfferedHostKey[] {
  const certified: OfferedHostKey[] = [];
  const plain: OfferedHostKey[] = [];
  for (const hostKey of hostKeys) {
    const { privateKey } = hostKey;
    const publicKey = publicKeyOf(privateKey);
    const certificate = certificateOf(hostKey, publicKey.blob);
    const donor = parseDonor(publicKey.blob);
    for (const signatureAlgorithm of sigAlgsOf(publicKey.type)) {
      const common = { signatureAlgorithm, privateKey, donor };
      certified.push({ ...common, algorithm: certAlgOf(signatureAlgorithm), blob: certificate.raw });
      plain.push({ ...common, algorithm: signatureAlgorithm, blob: publicKey.blob });
    }
  }
  if (certified.length === 0) throw new CodedError('misconfigured', 'an ssh server needs a host key');
  return [...certified, ...plain];
}

function sign(p: Protocol, key: OfferedHostKey, exchangeHash: Buffer): Buffer | Error {
  try {
    const { value } = splitSignature(signSsh(key.privateKey, key.signatureAlgorithm, exchangeHash));
    if (key.algorithm !== key.signatureAlgorithm) labelHostSignature(p, key.signatureAlgorithm);
    return value;
  } catch (e) {
    return e instanceof Error ? e : new Error(messageOf(e));
  }
}

/** The keys in ssh2's form. They sign for the connection of `p` only; without one they cannot sign. */
export const forConnection = (keys: readonly OfferedHostKey[], p?: Protocol): ParsedKey[] =>
  keys.map((key) =>
    disguisedKey(key.donor, {
      type: key.algorithm,
      publicBlob: key.blob,
      sign: (hash) => (p === undefined ? new Error('not bound to a connection') : sign(p, key, hash)),
    }),
  );

/** Has this connection show `keys`. To be called before its first key exchange. */
export function bindHostKeys(p: Protocol, keys: readonly OfferedHostKey[]): void {
  const bound = Object.create(null) as Record<string, ParsedKey>;
  for (const key of forConnection(keys, p)) bound[key.type] = key;
  p._hostKeys = bound;
}
