import { messageOf } from '../base/errors.ts';
import { CertError, checkCertificate } from '../pki/check-ssh-certificate.ts';
import {
  certTypeOf,
  isCertAlg,
  parseCertificate,
  sigAlgOfCertAlg,
  type Certificate,
} from '../pki/ssh-certificate.ts';
import { sigAlgsOf, verifySsh, type SigAlg } from '../pki/ssh-key.ts';
import { WireError } from '../pki/wire.ts';

/** One publickey request. Source: RFC 4252, 7. */
export interface LoginRequest {
  readonly username: string;
  readonly algorithm: string;
  /** The certificate. */
  readonly blob: Buffer;
  /** Absent in a probe: "would you accept this one?" */
  readonly proof: { readonly signed: Buffer; readonly signature: Buffer } | undefined;
}

export interface LoginPolicy {
  readonly userAuthorities: Iterable<Buffer>;
  /** Seconds since 1970. */
  readonly now: bigint;
  /** A login that no certificate names: any that is for somebody is taken, and `authorize` decides. */
  readonly openLogin?: string | undefined;
  /** Where the client is, for the critical option source-address. */
  readonly sourceAddress: string;
}

/**
 * Why a login was refused: for the audit, never for the client. `kind` distinguishes harmless offers from bad
 * certificates.
 */
export class LoginRefused extends Error {
  readonly kind: 'not a certificate' | 'bad certificate';
  /** From the certificate, proven or not. */
  readonly keyId: string | undefined;
  constructor(kind: 'not a certificate' | 'bad certificate', reason: string, keyId?: string) {
    super(reason);
    this.kind = kind;
    this.keyId = keyId;
  }
}

/**
 * Signature algorithms that the named algorithm allows; empty when it is refused, as everything with SHA-1
 * is.
 */
function allowedSignatures(algorithm: string): readonly SigAlg[] {
  // Some libraries name RSA certificates by the type in the blob and still sign with SHA-2.
  if (algorithm === certTypeOf('ssh-rsa')) return sigAlgsOf('ssh-rsa');
  const one = sigAlgOfCertAlg(algorithm);
  return one === undefined ? [] : [one];
}

function readCertificate(blob: Buffer): Certificate {
  try {
    return parseCertificate(blob);
  } catch (e) {
    // Besides WireError also the error of node:crypto for a point that is not on its curve.
    throw new LoginRefused('bad certificate', `malformed certificate: ${messageOf(e)}`);
  }
}

/**
 * Judges one login request: the certificate belongs to a user, is signed by a trusted authority, for this
 * name, valid now, from an allowed address, without an option we do not understand; and the proof, when there
 * is one, is by its key. Returns the certificate. A probe that passes is not a login.
 * @throws LoginRefused
 */
export function judgeLogin(request: LoginRequest, policy: LoginPolicy): Certificate {
  if (!isCertAlg(request.algorithm))
    throw new LoginRefused(
      'not a certificate',
      `a certificate is required, ${printable(request.algorithm)} was offered`,
    );
  const allowed = allowedSignatures(request.algorithm);
  if (allowed.length === 0)
    throw new LoginRefused('bad certificate', `algorithm refused: ${printable(request.algorithm)}`);
  const certificate = readCertificate(request.blob);
  const refuse = (reason: string): LoginRefused =>
    new LoginRefused('bad certificate', reason, certificate.keyId);
  const fitting = allowed.filter((alg) => sigAlgsOf(certificate.key.type).includes(alg));
  if (fitting.length === 0) throw refuse('the algorithm does not fit the key');
  if (certificate.keyId === '') throw refuse('the certificate has no key id');
  try {
    checkCertificate(certificate, {
      kind: 'user',
      cas: policy.userAuthorities,
      principals: request.username === policy.openLogin ? certificate.principals : [request.username],
      now: policy.now,
      sourceAddress: policy.sourceAddress,
      understood: ['force-command'],
    });
  } catch (e) {
    if (e instanceof CertError || e instanceof WireError) throw refuse(messageOf(e));
    throw e;
  }
  const { proof } = request;
  if (proof !== undefined && !verifySsh(certificate.key, proof.signed, proof.signature, fitting))
    throw refuse('the signature of the login is not by the certified key');
  return certificate;
}

/** Text of the peer, short and on one line. */
const printable = (text: string): string => text.slice(0, 64).replace(/[^\x20-\x7e]/g, '?');
