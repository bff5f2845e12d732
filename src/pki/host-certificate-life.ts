import type { Instant } from '../base/time.ts';
import { clockToleranceSeconds } from './certificate-life.ts';
import type { HostIdentity } from './host-identity.ts';
import { FOREVER, parseCertificate } from './ssh-certificate.ts';
import { fromAuthorizedKeyLine } from './ssh-key.ts';
import { readCertificate } from './x509.ts';

/** When the certificates of a machine were made, and until when both are valid. */
export interface HostCertificateLife {
  readonly madeAt: Instant;
  /** Undefined for those of older releases, which are valid until the authority is rotated. */
  readonly until: Instant | undefined;
}

/** @throws WireError, or CodedError `bad_request`, for certificates that cannot be read. */
export function hostCertificateLife({
  sshCertificate,
  tlsCertificatePem,
}: Pick<HostIdentity, 'sshCertificate' | 'tlsCertificatePem'>): HostCertificateLife {
  const ssh = parseCertificate(fromAuthorizedKeyLine(sshCertificate));
  const tls = readCertificate(tlsCertificatePem);
  const sshUntilMs = ssh.validBefore === FOREVER ? Infinity : Number(ssh.validBefore) * 1000;
  return {
    madeAt: new Date(Number(ssh.validAfter + clockToleranceSeconds) * 1000).toISOString(),
    until:
      sshUntilMs === Infinity
        ? undefined
        : new Date(Math.min(sshUntilMs, tls.validToDate.getTime())).toISOString(),
  };
}

/** The names and addresses in a machine's SSH certificate, which has all that were granted. */
export const certifiedNamesOf = ({
  sshCertificate,
}: Pick<HostIdentity, 'sshCertificate'>): readonly string[] =>
  parseCertificate(fromAuthorizedKeyLine(sshCertificate)).principals;
