import type { KeyObject } from 'node:crypto';
import { X509Certificate, createPublicKey } from 'node:crypto';
import { CodedError, messageOf } from '../../../base/errors.ts';
import { decodeOpensshPrivateKey } from '../../../pki/openssh-private-key.ts';
import { type Certificate, parseCertificate } from '../../../pki/ssh-certificate.ts';
import { fromAuthorizedKeyLine, publicKeyOf } from '../../../pki/ssh-key.ts';
import { readCertificate } from '../../../pki/x509.ts';

/** One key with both its certificates, as text: the content of files. */
export interface Credentials {
  /** OpenSSH private key format. */
  readonly privateKeyPem: string;
  /** `ssh-ed25519-cert-v01@openssh.com AAAA…` */
  readonly sshCertificate: string;
  readonly tlsCertificatePem: string;
  /** TLS certificates of the cluster's host authorities. */
  readonly tlsCasPem: readonly string[];
}

/** The identity of this client, checked: both certificates match the key. */
export interface ClientIdentity {
  readonly username: string;
  readonly privateKey: KeyObject;
  readonly certificate: Certificate;
  readonly certificateBlob: Buffer;
  readonly tlsCertificatePem: string;
  /** Of the host authority of that cluster, as all that follows. */
  readonly tlsCasPem: readonly string[];
  /** Of the cluster that issued it. */
  readonly clusterName: string;
  /** Public key blobs. */
  readonly hostAuthorities: readonly Buffer[];
}

/**
 * Reads credentials and checks that they belong together: a user certificate with principals, both
 * certificates for this very key. Does not check the time.
 * @param hostAuthorities of a cluster: public key blobs; default: none.
 * @throws CodedError `damaged` with what does not match.
 */
export function readCredentials(
  credentials: Credentials,
  hostAuthorities: (clusterName: string) => readonly Buffer[] = () => [],
): ClientIdentity {
  try {
    return check(credentials, hostAuthorities);
  } catch (e) {
    throw new CodedError('damaged', `the certificates cannot be used: ${messageOf(e)}`, { cause: e });
  }
}

function check(
  credentials: Credentials,
  hostAuthorities: (clusterName: string) => readonly Buffer[],
): ClientIdentity {
  const privateKey = decodeOpensshPrivateKey(credentials.privateKeyPem);
  const certificateBlob = fromAuthorizedKeyLine(credentials.sshCertificate);
  const certificate = parseCertificate(certificateBlob);
  if (certificate.kind !== 'user') throw new Error('the SSH certificate is not one of a user');
  if (certificate.keyId === '') throw new Error('the SSH certificate names no user');
  if (certificate.principals.length === 0) throw new Error('the SSH certificate allows no login');
  if (!certificate.key.blob.equals(publicKeyOf(privateKey).blob))
    throw new Error('the SSH certificate is for another key');
  const tls = new X509Certificate(credentials.tlsCertificatePem);
  if (!tls.publicKey.equals(createPublicKey(privateKey)))
    throw new Error('the TLS certificate is for another key');
  const clusterName = issuerOf(credentials.tlsCertificatePem);
  if (clusterName === '') throw new Error('the TLS certificate does not name its cluster');
  return {
    username: certificate.keyId,
    privateKey,
    certificate,
    certificateBlob,
    tlsCertificatePem: credentials.tlsCertificatePem,
    tlsCasPem: credentials.tlsCasPem.filter(isAuthorityOf(clusterName)),
    clusterName,
    hostAuthorities: hostAuthorities(clusterName),
  };
}

/** The cluster that issued a certificate, as that says; empty where it says nothing. */
export const issuerOf = (tlsCertificatePem: string): string =>
  /^CN=(.*)$/m.exec(new X509Certificate(tlsCertificatePem).issuer)?.[1] ?? '';

/**
 * Whether an authority (PEM) is of this cluster, as it says itself. One that cannot be read is of none.
 */
export const isAuthorityOf =
  (clusterName: string) =>
  (pem: string): boolean => {
    try {
      return /^O=(.*)$/m.exec(readCertificate(pem).subject)?.[1] === clusterName;
    } catch {
      return false;
    }
  };

/** Those that are of the cluster that they are said to be of. */
export const tlsAuthoritiesOf = (
  clusters: readonly { readonly clusterName: string; readonly tlsCertificatesPem: readonly string[] }[],
): readonly string[] =>
  clusters.flatMap(({ clusterName, tlsCertificatesPem }) =>
    tlsCertificatesPem.filter(isAuthorityOf(clusterName)),
  );

/** When an identity expires, in milliseconds since 1970; infinity for a certificate without an end. */
export function validUntilMs(identity: Pick<ClientIdentity, 'certificate'>): number {
  const seconds = identity.certificate.validBefore;
  return seconds > 8_640_000_000_000n ? Number.POSITIVE_INFINITY : Number(seconds) * 1000;
}

export const isExpired = (identity: Pick<ClientIdentity, 'certificate'>, now: string): boolean =>
  validUntilMs(identity) <= Date.parse(now);
