import type { KeyObject } from 'node:crypto';
import type { Instant } from '../base/time.ts';
import { FOREVER, issueCertificate, type Certificate } from './ssh-certificate.ts';
import { toAuthorizedKeyLine, type PublicKey } from './ssh-key.ts';
import { backDateSeconds, extensionText, secondsOf } from './user-certificate.ts';
import { WireError } from './wire.ts';

export interface HostCertificateRequest {
  readonly publicKey: PublicKey;
  readonly ca: KeyObject;
  readonly hostId: string;
  readonly nodename: string;
  readonly clusterName: string;
  readonly role: string;
  readonly additionalPrincipals: readonly string[];
  readonly now: Instant;
}

/** Signs a machine's SSH certificate; one line. It holds for ever: the authority's rotation ends it. */
export function issueHostSshCertificate(request: HostCertificateRequest): string {
  const certificate = issueCertificate({
    key: request.publicKey,
    ca: request.ca,
    kind: 'host',
    keyId: '',
    principals: principalsOf(request),
    validAfter: secondsOf(request.now) - backDateSeconds,
    validBefore: FOREVER,
    extensions: { 'x-teleport-authority': request.clusterName, 'x-teleport-role': request.role },
  });
  return toAuthorizedKeyLine(certificate);
}

/** `<uuid>.<cluster>` first: it is read back as the host's name. */
function principalsOf(request: HostCertificateRequest): string[] {
  const { hostId, nodename, clusterName, role, additionalPrincipals } = request;
  const own =
    role === 'Admin'
      ? [hostId]
      : [
          `${hostId}.${clusterName}`,
          hostId,
          `${nodename}.${clusterName}`,
          nodename,
          'localhost',
          '127.0.0.1',
          '::1',
        ];
  return [...new Set([...own, ...additionalPrincipals])].filter((name) => name !== '');
}

/**
 * What a machine's certificate says. The caller has checked the certificate.
 * @throws WireError when it lacks the role or the cluster.
 */
export function hostIdentityOf(certificate: Certificate): {
  hostFqdn: string;
  role: string;
  clusterName: string;
} {
  const role = extensionText(certificate, 'x-teleport-role');
  const clusterName = extensionText(certificate, 'x-teleport-authority');
  const hostFqdn = certificate.principals[0];
  if (role === undefined || clusterName === undefined || hostFqdn === undefined)
    throw new WireError('not a host certificate of a cluster');
  return { hostFqdn, role, clusterName };
}
