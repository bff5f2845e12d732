import { X509Certificate } from 'node:crypto';
import { type Instant, second } from '../../base/time.ts';
import { catalogue } from '../../domain/audit-catalogue.ts';
import { keysInUse } from '../../domain/authority-state.ts';
import type { SystemRole } from '../../domain/host-info.ts';
import { issueHostSshCertificate } from '../../pki/host-certificate.ts';
import type { PublicKey } from '../../pki/ssh-key.ts';
import { newSerial, serialOfX509, serialText } from '../../pki/serial.ts';
import { issueHostTlsCertificate } from '../../pki/tls-identity.ts';
import type { Cause } from '../../log/event.ts';
import type { AuthDeps } from '../deps.ts';
import { clusterOf, signerOfCluster } from '../lookups.ts';

export interface HostCertificateWish {
  readonly hostId: string;
  readonly nodename: string;
  readonly role: SystemRole;
  readonly additionalPrincipals: readonly string[];
  readonly publicKey: PublicKey;
  readonly now: Instant;
  /**
   * Default: signed by the key that signs now. `servers`: signed by the key whose certificates servers show
   * now.
   */
  readonly use?: 'servers' | undefined;
}

/** Both certificates of a machine, and what it must trust. */
export interface HostCertificates {
  readonly clusterName: string;
  readonly sshCertificate: string;
  readonly tlsCertificatePem: string;
  readonly tlsCasPem: string[];
  readonly sshHostCas: string[];
}

/**
 * Signs certificates for a machine. The caller has decided that it may have this identity, and reports it to
 * the audit (`tellCertified`).
 * @throws CodedError `bad_request` when a name is not possible in a certificate; `unavailable` when nothing
 *   can sign.
 */
export async function certifyHost(
  deps: Pick<AuthDeps, 'views' | 'keys' | 'hostCertificateTtlMs'>,
  wish: HostCertificateWish,
): Promise<HostCertificates> {
  const { hostId, nodename, role, additionalPrincipals, publicKey, now } = wish;
  const { clusterName } = clusterOf(deps.views);
  const signer = await (wish.use === undefined
    ? deps.keys.signer('host')
    : deps.keys.signerOfKey('host', keysInUse(deps.views.authorities.state().host.state)[wish.use].keyId));
  const ttlSeconds = Math.floor(deps.hostCertificateTtlMs / second);
  const serial = newSerial();
  const common = { hostId, clusterName, role, additionalPrincipals, now, ttlSeconds, serial };
  const sshCertificate = issueHostSshCertificate({ ...common, publicKey, ca: signer.ssh, nodename });
  const tlsCertificatePem = issueHostTlsCertificate({
    ...common,
    // From this auth knows what the host may announce itself as.
    additionalPrincipals: nodename === '' ? additionalPrincipals : [nodename, ...additionalPrincipals],
    publicKey: publicKey.key,
    caPem: signer.tlsCertificatePem,
    caKey: signer.tls,
  });
  const trusted = signerOfCluster(deps.views, 'host');
  return {
    clusterName,
    sshCertificate,
    tlsCertificatePem,
    tlsCasPem: trusted.tlsCertificatesPem,
    sshHostCas: trusted.checkingKeys,
  };
}

/** The audit event of a certificate is stored before its owner has it. */
export async function tellCertified(
  deps: Pick<AuthDeps, 'ownAudit'>,
  {
    hostId,
    nodename,
    role,
    tlsCertificatePem,
  }: Pick<HostCertificateWish, 'hostId' | 'nodename' | 'role'> & Pick<HostCertificates, 'tlsCertificatePem'>,
  cause: Cause,
): Promise<void> {
  await deps.ownAudit.recordFromReserve(
    catalogue.hostCertificate({
      cert_type: 'host',
      host_id: hostId,
      nodename,
      role,
      serial: serialText(serialOfX509(new X509Certificate(tlsCertificatePem))),
    }),
    cause,
  );
}
