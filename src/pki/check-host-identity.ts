import { createPublicKey } from 'node:crypto';
import { CodedError } from '../base/errors.ts';
import { checkCertificate } from './check-ssh-certificate.ts';
import { hostIdentityOf } from './host-certificate.ts';
import type { HostIdentity } from './host-identity.ts';
import { privateKeyFromPem } from './key-pair.ts';
import { parseCertificate } from './ssh-certificate.ts';
import { fromAuthorizedKeyLine, publicKeyOf } from './ssh-key.ts';
import { tlsIdentityOf } from './tls-identity.ts';
import { readCertificate } from './x509.ts';

/**
 * Makes sure that the parts of an identity belong together: both certificates contain its key, name its host,
 * role and cluster, and are signed by authorities that it lists. Does not check whether they are valid now,
 * or accepted anywhere.
 * @throws CodedError `damaged` with what does not match.
 */
export function checkHostIdentity(identity: HostIdentity): void {
  try {
    checkTls(identity);
    checkSsh(identity);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CodedError('damaged', `the parts of the identity do not belong together: ${why}`, { cause });
  }
}

function checkTls(identity: HostIdentity): void {
  const certificate = readCertificate(identity.tlsCertificatePem);
  if (!certificate.publicKey.equals(createPublicKey(identity.privateKeyPem)))
    throw new Error('the TLS certificate carries another key');
  const { username, groups } = tlsIdentityOf(certificate);
  if (username !== `${identity.hostId}.${identity.clusterName}` || groups.join() !== identity.role)
    throw new Error(`the TLS certificate names ${username} as ${groups.join()}`);
  const authorities = identity.tlsCasPem.map(readCertificate);
  if (!authorities.some((ca) => certificate.checkIssued(ca) && certificate.verify(ca.publicKey)))
    throw new Error('the TLS certificate is signed by none of its authorities');
}

function checkSsh(identity: HostIdentity): void {
  const certificate = parseCertificate(fromAuthorizedKeyLine(identity.sshCertificate));
  const key = publicKeyOf(privateKeyFromPem(identity.privateKeyPem));
  if (!certificate.key.blob.equals(key.blob)) throw new Error('the SSH certificate carries another key');
  const { role, clusterName, hostFqdn } = hostIdentityOf(certificate);
  if (
    role !== identity.role ||
    clusterName !== identity.clusterName ||
    !certificate.principals.includes(identity.hostId)
  )
    throw new Error(`the SSH certificate names ${hostFqdn} as ${role} of ${clusterName}`);
  checkCertificate(certificate, {
    kind: 'host',
    cas: identity.sshHostCas.map(fromAuthorizedKeyLine),
    principals: [identity.hostId],
    now: certificate.validAfter,
  });
}
