import type { KeyObject } from 'node:crypto';
import { CodedError } from '../base/errors.ts';
import { parseCertificate } from '../pki/ssh-certificate.ts';
import { publicKeyOf, signSsh, type SigAlg } from '../pki/ssh-key.ts';

/**
 * A certificate or plain key to present, and the way to sign with it. See `keyIdentity` and
 * `SshAgent.identities`.
 */
export interface Identity {
  readonly blob: Buffer;
  readonly comment: string;
  /** Returns an SSH signature blob of exactly this algorithm. */
  sign(algorithm: SigAlg, data: Buffer): Promise<Buffer>;
}

/**
 * An identity whose key is in this process.
 * @throws CodedError `misconfigured` when the certificate belongs to another key; WireError when it cannot be
 *   read.
 */
export function keyIdentity(privateKey: KeyObject, certificate?: Buffer, comment = ''): Identity {
  const publicKey = publicKeyOf(privateKey);
  if (certificate !== undefined && !parseCertificate(certificate).key.blob.equals(publicKey.blob))
    throw new CodedError('misconfigured', 'the certificate does not belong to this key');
  return {
    blob: certificate ?? publicKey.blob,
    comment,
    sign: (algorithm, data) => Promise.resolve(signSsh(privateKey, algorithm, data)),
  };
}
