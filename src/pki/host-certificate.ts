import type { KeyObject } from 'node:crypto';
import type { Instant } from '../base/time.ts';
import { clockToleranceSeconds, secondsOf } from './certificate-life.ts';
import { newSerial } from './serial.ts';
import { extensionText, FOREVER, issueCertificate, type Certificate } from './ssh-certificate.ts';
import { toAuthorizedKeyLine, type PublicKey } from './ssh-key.ts';
import { WireError } from './wire.ts';

export interface HostCertificateRequest {
  readonly publicKey: PublicKey;
  readonly ca: KeyObject;
  /** Empty for a machine that is not part of the cluster: it gets the additional names, and no others. */
  readonly hostId: string;
  /** The machine's own name; empty when it has none. */
  readonly nodename: string;
  readonly clusterName: string;
  /** One system role, capitalised: `Node`, `Proxy`, `Auth`, `Admin`. */
  readonly role: string;
  /** Further names and addresses. Wildcard addresses have been replaced by the caller. */
  readonly additionalPrincipals: readonly string[];
  readonly now: Instant;
  /** Whole seconds from `now`. Left out: it never expires, as those of older releases. */
  readonly ttlSeconds?: number | undefined;
  /** Left out: a random one. */
  readonly serial?: bigint | undefined;
}

/**
 * Signs a machine's SSH certificate; one line.
 * @throws CodedError `bad_request` when a name is not possible in a certificate.
 */
export function issueHostSshCertificate(request: HostCertificateRequest): string {
  const certificate = issueCertificate({
    key: request.publicKey,
    ca: request.ca,
    kind: 'host',
    keyId: '',
    serial: request.serial ?? newSerial(),
    principals: principalsOf(request),
    validAfter: secondsOf(request.now) - clockToleranceSeconds,
    validBefore:
      request.ttlSeconds === undefined ? FOREVER : secondsOf(request.now) + BigInt(request.ttlSeconds),
    extensions: { 'x-teleport-authority': request.clusterName, 'x-teleport-role': request.role },
    ...(request.serial === undefined ? {} : { serial: request.serial }),
  });
  return toAuthorizedKeyLine(certificate);
}

/** `<uuid>.<cluster>` first: it is read back as the host's name. */
function principalsOf(request: HostCertificateRequest): string[] {
  const { hostId, nodename, clusterName, role, additionalPrincipals } = request;
  if (hostId === '') return [...new Set(additionalPrincipals)];
  const named = nodename === '' ? [] : [`${nodename}.${clusterName}`, nodename];
  // A node with the names that every machine has for itself could be taken for a proxy there.
  const loopback = role === 'Node' ? [] : ['localhost', '127.0.0.1', '::1'];
  const own = role === 'Admin' ? [hostId] : [`${hostId}.${clusterName}`, hostId, ...named, ...loopback];
  return [...new Set([...own, ...additionalPrincipals])];
}

/**
 * The content of a machine's certificate, which the caller has checked. `hostFqdn` is `<uuid>.<cluster>`; of
 * the role Admin, which has no name of its own, just `<uuid>`.
 * @throws WireError for a certificate of a user, or one that lacks the role or the cluster.
 */
export function hostIdentityOf(certificate: Certificate): {
  hostFqdn: string;
  role: string;
  clusterName: string;
} {
  const role = extensionText(certificate, 'x-teleport-role');
  const clusterName = extensionText(certificate, 'x-teleport-authority');
  const hostFqdn = certificate.principals[0];
  if (certificate.kind !== 'host' || !role || !clusterName || !hostFqdn)
    throw new WireError('not a host certificate of a cluster');
  return { hostFqdn, role, clusterName };
}
