import { type KeyObject, X509Certificate } from 'node:crypto';

interface ReadAuthority {
  readonly authority: X509Certificate;
  readonly key: KeyObject;
}

/**
 * Each new connection is compared with them all: in a rotation with several, and all machines come again; at
 * a root with those of each leaf.
 */
const mostKept = 512;
const kept = new Map<string, ReadAuthority>();

function authorityOf(pem: string): ReadAuthority {
  const known = kept.get(pem);
  if (known) return known;
  const authority = new X509Certificate(pem);
  const read = { authority, key: authority.publicKey };
  if (kept.size >= mostKept) kept.clear();
  kept.set(pem, read);
  return read;
}

/**
 * Whether this authority (PEM) signed the certificate. The signature is checked against the authority's
 * key: subjects are only names.
 */
export function issuedBy(certificate: X509Certificate, authorityPem: string): boolean {
  const { authority, key } = authorityOf(authorityPem);
  // Names are compared first, so that a signature is checked with few keys only.
  return certificate.checkIssued(authority) && certificate.verify(key);
}
